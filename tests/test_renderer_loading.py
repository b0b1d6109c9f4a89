"""Which renderer a model gets, what it shows of tools, and what is refused with a way out."""

from __future__ import annotations

import hashlib
import json
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from transformers.tokenization_mistral_common import MistralCommonBackend

from rendering import ENV, renderer_of, tokenizer_of
from rods.envs.bfcl_data import tool_specs
from rods.errors import UserError
from rods.extras import package_folder
from rods.renderers.chat import ChatRenderer
from rods.renderers.families import FAMILIES, family_tokenizer
from rods.renderers.load import load_renderer
from rods.renderers.settings import RendererSettings
from rods.renderers.template import known_templates
from rods.renderers.tools import function_schema
from rods.rollout.messages import Conversation, Message
from rods.task import ToolSpec

ECHO, LATER = ENV.specs["echo"], ENV.specs["later"]
SHORT_ECHO = {
    "name": "echo",
    "description": "Say the text again.",
    "parameters": {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
    },
}
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def load(text: str | None, family: str = "qwen2.5", **settings: Any) -> ChatRenderer:
    """The renderer of a tokenizer with another chat template."""
    tokenizer = copy(tokenizer_of(family))
    tokenizer.chat_template = text
    return load_renderer(tokenizer, RendererSettings(**settings), "model=small")


def prompt(renderer: ChatRenderer, *messages: Message) -> str:
    """The text of a prompt with one tool."""
    conversation = Conversation((ECHO,), (LATER,), list(messages))
    return str(renderer.tokenizer.decode(renderer.begin(conversation)))


def follows(renderer: ChatRenderer, *messages: Message, after: str = "Done.") -> str:
    """The text that follows an ended answer."""
    return str(renderer.tokenizer.decode(renderer.extend(messages, renderer.write(()))))


USER = Message("user", "Say a.")


def test_facts_name_what_decides_the_ids() -> None:
    facts = renderer_of("qwen3").facts
    text = known_templates()["qwen3_training"]
    assert facts.template_sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert json.loads(json.dumps(facts._asdict())) == {
        "family": "qwen3_training",
        "dialect": "native",
        "notation": "Blocks",
        "template_sha256": facts.template_sha256,
        "chat_template_kwargs": {"date_string": "26 Jul 2024", "enable_thinking": False},
        "tool_docs": "full",
        "examples": 0,
        "system": None,
    }
    notations = {name: renderer_of(name).facts.notation for name in FAMILIES}
    assert notations == {
        **dict.fromkeys(("qwen2.5", "qwen3", "qwen3-2507"), "Blocks"),
        **dict.fromkeys(("llama3.1", "llama3.2"), "Bare"),
        "mistral": "Named",
    }


def test_a_thought_is_begun_only_where_the_family_has_them() -> None:
    for family in FAMILIES:
        shown = prompt(renderer_of(family), USER)
        assert ("<think>" in shown) == (family == "qwen3")
    thinking = load(known_templates()["qwen3"], "qwen3")
    assert prompt(thinking, USER).endswith("<|im_start|>assistant\n")
    opened = load(known_templates()["qwen3_5_think"], "qwen3")
    assert prompt(opened, USER).endswith("<|im_start|>assistant\n<think>\n")
    encode = opened.tokenizer.encode
    assert not opened.parse([*encode("So.\n</think>\n\nDone."), opened.stop_ids[0]], {}).malformed
    assert opened.parse([*encode("So.\n\nDone."), opened.stop_ids[0]], {}).malformed


def test_a_cut_off_answer_is_ended() -> None:
    renderer = renderer_of("qwen3-2507")
    encode, decode = renderer.tokenizer.encode, renderer.tokenizer.decode
    bridge = renderer.extend([USER], renderer.write(()))
    assert renderer.extend([USER], encode("I lo")) == [renderer.stop_ids[0], *bridge]
    thought = renderer.extend([USER], encode("<think>\nI lo"))
    assert decode(thought) == "</think><|im_end|>" + decode(bridge)
    for family in ("llama3.1", "llama3.2"):
        renderer = renderer_of(family)
        (eom,) = renderer.tokenizer.encode("<|eom_id|>")
        assert eom in renderer.stop_ids
        assert renderer.extend([USER], [eom]) == renderer.extend([USER], renderer.write(()))


def test_the_date_is_pinned() -> None:
    assert "Today Date: 26 Jul 2024" in prompt(renderer_of("llama3.2"), USER)
    text = known_templates()["llama3_2"]
    dated = load(text, "llama3.2", chat_template_kwargs={"date_string": "1 Jan 2030"})
    assert "Today Date: 1 Jan 2030" in prompt(dated, USER)


def test_the_task_has_its_own_system_message() -> None:
    own = Message("system", "Be brief.")
    for chosen in ({"system": "Be slow."}, {"system": "Be slow.", "dialect": "prompt"}):
        renderer = renderer_of("qwen2.5", **chosen)
        assert "Be slow." in prompt(renderer, USER)
        assert "Be slow." not in prompt(renderer, own, USER)
        assert prompt(renderer, own, USER).count("Be brief.") == 1
    assert "Be brief." in prompt(renderer_of("mistral"), own, USER)


def test_tool_docs() -> None:
    tool = tool_specs()["find"].model_copy(update={"returns": {"matches": "Paths."}})
    full, short = function_schema(tool)["function"], function_schema(tool, "short")["function"]
    assert full["description"].endswith('Returns {"matches": "Paths."}')
    assert full["parameters"]["properties"] == tool.parameters
    assert short == {
        "name": "find",
        "description": tool.description.partition(". ")[0] + ".",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "name": {"type": "string"}},
            "required": [],
        },
    }
    assert function_schema(ECHO, "short") == {"type": "function", "function": SHORT_ECHO}
    nested = ToolSpec(
        name="f",
        owner="",
        parameters={"a": {"type": "array", "items": {"type": "integer", "title": "x"}}},
    )
    parameters = function_schema(nested, "short")["function"]["parameters"]
    assert parameters["properties"] == {"a": {"type": "array", "items": {"type": "integer"}}}
    assert json.dumps(SHORT_ECHO) in prompt(renderer_of("qwen2.5", tool_docs="short"), USER)
    assert json.dumps(SHORT_ECHO) in prompt(
        renderer_of("qwen2.5", tool_docs="short", dialect="prompt"), USER
    )


def test_a_message_shows_the_tools_that_it_brings() -> None:
    brought = function_schema(LATER, "short")["function"]
    text = f"These tools can be called from now on:\n{json.dumps(brought)}"
    for dialect in ("native", "prompt", "envtuning"):
        renderer = renderer_of("qwen2.5", dialect=dialect, tool_docs="short")
        silent = follows(renderer, Message("user", "", tools=(LATER,)))
        assert silent == f"\n<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
        said = follows(renderer, Message("user", "Go on.", tools=(LATER,)))
        assert f"user\n{text}\n\nGo on.<|im_end|>" in said
        assert "later" not in prompt(renderer, USER)


def test_prompted_tools() -> None:
    """For a template without a place for tools: all of it is in the messages."""
    with pytest.raises(UserError, match=r"no place for tools; set renderer\.dialect=prompt or"):
        load(CHATML)
    renderer = load(CHATML, dialect="prompt", tool_docs="short", examples=1)
    assert prompt(renderer, USER) == (
        "<|im_start|>system\n"
        "You can call these tools:\n"
        f"{json.dumps(SHORT_ECHO)}\n\n"
        'Write each call as <tool_call>{"name": TOOL, "arguments": {PARAMETER: VALUE}}</tool_call>.'
        " If no call is needed, answer in words. The next message has the results.<|im_end|>\n"
        '<|im_start|>user\nCall echo with {"text": "example"}.<|im_end|>\n'
        "<|im_start|>assistant\n"
        '<tool_call>\n{"name": "echo", "arguments": {"text": "example"}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\nSay a.<|im_end|>\n<|im_start|>assistant\n"
    )
    seen = [Message("tool", "a", (), "call_0"), Message("tool", "b", (), "call_1", error=True)]
    responses = "<tool_response>\na\n</tool_response>\n\n<tool_response>\nb\n</tool_response>"
    assert follows(renderer, *seen, USER) == (
        f"\n<|im_start|>user\n{responses}\n\nSay a.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert follows(renderer) == "\n<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("family", FAMILIES)
def test_text_of_a_tool_holds_no_control_token(family: str) -> None:
    """And half of a character, which no tokenizer takes, is replaced."""
    for dialect in ("native", "prompt"):
        renderer = renderer_of(family, dialect=dialect)
        added = renderer.tokenizer.added_tokens_decoder
        names = [token.content for token in added.values() if token.special][:40]
        names += ["<tool_call>", "</tool_response>"] if family.startswith("qwen") else []
        hostile = Message("tool", " ".join(names) + " \ud800", (), "call_0")
        plain = Message("tool", "a", (), "call_0")
        ends = renderer.write(())
        counts = [sum(i in added for i in renderer.extend([m], ends)) for m in (hostile, plain)]
        assert counts[0] <= counts[1], "less, where our own mark is in the same message"
        assert f"{' '.join(names)} \ufffd" in follows(renderer, hostile)


QWEN = known_templates()["qwen2_5"]
REFUSED: dict[str, tuple[str | None, str, dict[str, Any], str]] = {
    "no template": (None, "qwen2.5", {}, "the model has no chat template; set renderer.dialect="),
    "no template for words": (None, "qwen2.5", {"dialect": "prompt"}, "template; name a file in"),
    "no file": (QWEN, "qwen2.5", {"template": "no.jinja"}, "no.jinja: cannot be read: No such"),
    "no Jinja": ("{% for %}", "qwen2.5", {}, "fails on messages of user: TemplateSyntaxError"),
    "a raise": ("{{ raise_exception('Oh') }}", "qwen2.5", {}, "of user: TemplateError: Oh; set"),
    "no stop token": (
        QWEN,
        "llama3.1",
        {},
        "ends an answer with '<|im_end|>', which is no token of the tokenizer; set renderer",
    ),
    "no end": (CHATML.replace("<|im_end|>\n", ""), "qwen2.5", {}, "no token that ends an answer"),
    "unknown calls": (QWEN.replace("tool_call>", "call>"), "qwen2.5", {}, "cannot be read; set"),
    "rewriting": (
        QWEN.replace(
            "message.content + '<|im_end|>'", "message.content[loop.last:] + '<|im_end|>'"
        ),
        "qwen2.5",
        {},
        "the chat template rewrites earlier messages; set renderer.dialect=prompt or name a file",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_with_a_way_out(name: str) -> None:
    template, family, settings, message = REFUSED[name]
    with pytest.raises(UserError) as caught:
        load(template, family, **settings)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    if "no file" not in name:
        assert str(caught.value).startswith("model=small: ")


def test_a_template_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "own.jinja"
    file.write_text(QWEN.replace("You are Qwen", "You are a clerk"))
    renderer = load(None, template=str(file))
    assert "You are a clerk" in prompt(renderer, USER)
    assert renderer.facts.family == str(file)
    assert load(CHATML, template="qwen2_5").facts.family == "qwen2_5"


def test_a_template_that_fails_on_a_message_ends_with_one_line() -> None:
    check = "{% if 'boom' in message.content %}{{ raise_exception('no\nboom') }}{% endif %}"
    renderer = load(CHATML.replace("<|im_start|>{{", f"{check}<|im_start|>{{{{"), dialect="prompt")
    with pytest.raises(UserError) as caught:
        renderer.extend([Message("user", "boom")], renderer.write(()))
    assert str(caught.value) == (
        "model=small: the chat template fails on messages of user assistant user: TemplateError:"
        " no boom; name a file in renderer.template"
    )


def test_a_tokenizer_without_chat_templates_is_refused() -> None:
    """Transformers takes this one for a folder with tekken.json, if mistral-common is there."""
    file = package_folder("mistral_common") / "data/tekken_240911.json"
    with pytest.raises(
        UserError, match=r"model=small: MistralCommonBackend .* mistral_format=False"
    ):
        load_renderer(MistralCommonBackend(file), RendererSettings(), "model=small")


def test_a_control_token_that_is_plain_text_too_ends_no_episode() -> None:
    tokenizer = family_tokenizer("qwen2.5")
    tokenizer.add_special_tokens({"additional_special_tokens": ["hello"]})
    renderer = load_renderer(tokenizer, RendererSettings(), "model=small")
    assert "hello<|im_end|>" in follows(renderer, Message("user", "hello"))
