"""The system message of a task reaches the agent in every renderer, and the synthesis."""

import json
from copy import copy
from typing import Any

import pytest

from rendering import ENV, renderer_of, tokenizer_of
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.errors import UserError
from rods.micro.renderer import SYSTEM_TOKENS, MicroRenderer, build_tokenizer
from rods.provenance import Source, sources
from rods.renderers.families import FAMILIES
from rods.renderers.load import load_renderer as load_chat_renderer
from rods.renderers.settings import RendererSettings
from rods.reward import NO_TRACE
from rods.rollout.episode import Ending, Episode
from rods.synthesis.llm.prompts import render
from rods.task import Call, Task, Turn
from scripted_agent import said
from test_chat_agent import BASE, Server, play

POLICY = "Refund at most 25 euros."
TASK = Task(
    category="base",
    classes=("Desk",),
    start={},
    turns=(Turn(user="Hello."),),
    system=POLICY,
    environment=ENV.name,
)


def begun(task: Task = TASK) -> Any:
    return Episode(task, ENV, NO_TRACE, ending=Ending.TOKEN_BUDGET).conversation


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dialect", ["native", "prompt"])
def test_a_chat_template_writes_it(family: str, dialect: str) -> None:
    renderer = renderer_of(family, dialect=dialect, system="of the settings")
    text = renderer.show(renderer.begin(begun()))
    assert text.count(POLICY) == 1 and "of the settings" not in text
    assert text.index(POLICY) < text.index("Hello.")
    without = begun(TASK.model_copy(update={"system": ""}))
    assert "of the settings" in renderer.show(renderer.begin(without))


def test_a_template_that_drops_it_is_refused() -> None:
    tokenizer = copy(tokenizer_of("qwen2.5"))
    loop = "{% for message in messages if message.role != 'system' %}"
    said = "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>"
    cue = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    tokenizer.chat_template = f"{loop}{said}{{% endfor %}}{cue}"
    renderer = load_chat_renderer(tokenizer, RendererSettings(dialect="prompt"), "model=x")
    with pytest.raises(UserError, match="model=x: the chat template does not write a system"):
        renderer.begin(begun())


@pytest.mark.parametrize("dialect", ["native", "prompt"])
def test_an_endpoint_gets_it(dialect: str) -> None:
    server = Server(lambda request, n: said(request, "Done."), tools=dialect == "native")
    task = BASE.model_copy(update={"system": POLICY})
    play(server, task, settings=RendererSettings(dialect=dialect))
    first = server.seen[0]["messages"][0]
    assert first["role"] == "system" and first["content"].startswith(POLICY)


def test_the_micro_policy_reads_its_first_words() -> None:
    renderer = MicroRenderer(build_tokenizer(["refund", "euros"], tool_specs()))
    task = benchmark_tasks()["multi_turn_base_1"]
    bare = renderer.begin(_bfcl(task))
    short = renderer.begin(_bfcl(task.model_copy(update={"system": "refund euros"})))
    long = renderer.begin(_bfcl(task.model_copy(update={"system": "refund euros " * 500})))
    assert "<user> refund euros <user>" in renderer.show(short)
    assert len(long) == len(bare) + 1 + SYSTEM_TOKENS


def _bfcl(task: Task) -> Any:
    return Episode(task, BfclEnvironment(), NO_TRACE, ending=Ending.TOKEN_BUDGET).conversation


def test_a_value_of_the_policy_is_known_to_the_agent() -> None:
    call = Call(name="page", arguments={"number": 25})
    task = TASK.model_copy(update={"turns": (Turn(user="As usual.", ground_truth=(call,)),)})
    tools = ENV.tools(task)
    assert sources(task, [["x"]], tools) == [{"number": Source.OUTPUT}]
    bare = task.model_copy(update={"system": ""})
    assert sources(bare, [["x"]], tools) == [{"number": Source.NOWHERE}]


def test_a_model_that_judges_reads_it() -> None:
    given = {"category": "base", "structures": {}, "narrative": "", "turns": []}
    prompt = render("judge", system=POLICY, **given)
    assert f"RULES FOR THE ASSISTANT: {POLICY}" in prompt.user
    assert "RULES" not in json.dumps(render("judge", system="", **given)._asdict())
