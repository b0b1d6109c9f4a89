"""Answers of chat models: read exactly, or malformed; a broken call never ends a turn."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest

from rendering import ENV, any_call, renderer_of, words
from rods.renderers.chat import ChatRenderer
from rods.rollout.episode import Action
from rods.task import Call

TOOLS = ENV.specs
WRITERS: dict[str, Callable[[], ChatRenderer]] = {
    "qwen2.5": lambda: renderer_of("qwen2.5"),
    "qwen3": lambda: renderer_of("qwen3"),
    "qwen3.5": lambda: renderer_of("qwen3", template="qwen3_5_nothink"),
    "llama3.1": lambda: renderer_of("llama3.1"),
    "mistral": lambda: renderer_of("mistral"),
    "envtuning": lambda: renderer_of("qwen2.5", dialect="envtuning"),
    "prompt": lambda: renderer_of("llama3.1", dialect="prompt"),
}
PWD = Call(name="pwd", arguments={})
ECHO = Call(name="echo", arguments={"text": "a"})
ARGS = {"arguments": ECHO.arguments}
MARKS = ["<tool_call>", "</tool_call>", "[ARGS]", "<think>", "</think>", "<answer>", "; ", '"}}']


def answer(renderer: ChatRenderer, text: str, stop: bool = True) -> Action:
    """What an ended answer with this text is read as."""
    ids = renderer.tokenizer.encode(text, add_special_tokens=False)
    return renderer.parse([*ids, *renderer.stop_ids[: int(stop)]], TOOLS)


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_is_read(name: str) -> None:
    renderer, rng = WRITERS[name](), random.Random(0)
    assert renderer.parse(renderer.write(()), TOOLS) == Action()
    for _ in range(300):
        calls = [any_call(rng) for _ in range(rng.randrange(1, 4))]
        if name != "qwen3.5":  # its values end at their closing tag, whatever they are
            hostile = words(rng, 5).join(rng.choices(MARKS, k=4))
            calls.append(Call(name="echo", arguments={"text": hostile}))
            calls.append(Call(name="unknown", arguments={words(rng, 9): None}))
        found = renderer.parse(renderer.write(calls), TOOLS)
        assert not found.malformed, renderer.show(renderer.write(calls))
        assert list(found.calls) == calls


EDITS = 3
PIECES = [*MARKS, "{", "}", "[", "]", '"', ",", ":", "\n", "```json", "Well. ", "[TOOL_CALLS]"]


def mangled(rng: random.Random, text: str) -> str:
    """With a few parts dropped, repeated, swapped, replaced or put in, but not all of it."""
    for _ in range(rng.randrange(1, EDITS + 1)):
        start = rng.randrange(len(text))
        size = rng.choice([1, 1, 1, 2, 5, len(text) // 4])
        end = min(len(text), start + max(size, 1))
        part, piece = text[start:end], rng.choice(PIECES)
        middle = rng.choice(["", part * 2, part[::-1], part.swapcase(), piece, part + piece])
        text = (text[:start] + middle + text[end:]) or text
    return text


def bare(text: str) -> str:
    """Without what may differ between two texts of the same calls."""
    return re.sub(r"[\s\\;]|<\|python_tag\|>", "", text).lower()


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_mangled_answer_is_malformed_or_right_and_never_an_end(name: str, count: int) -> None:
    renderer, rng, read = WRITERS[name](), random.Random(count), 0
    for _ in range(count):
        calls = [any_call(rng) for _ in range(rng.choice([1, 1, 2]))]
        calls = [call for call in calls if call.name != "later"] or [PWD]  # 1e-7 is also 1E-07
        text = mangled(rng, renderer.show(renderer.write(calls)))
        action = answer(renderer, text)
        assert action.calls or action.malformed, text
        if action.calls:
            again = renderer.show(renderer.write(action.calls)).rpartition("</think>")[2]
            assert bare(text).endswith(bare(again)), text
            read += 1
    assert count / 20 < read < count / 2


DONE: tuple[Call, ...] = ()
CALL = '{"name": "echo", "arguments": {"text": "a"}}'
BLOCK = f"<tool_call>\n{CALL}\n</tool_call>"
LLAMA = CALL.replace("arguments", "parameters")
NAMED = '[TOOL_CALLS]echo[ARGS]{"text": "a"}'
TAGGED = (
    "<tool_call>\n<function=echo>\n<parameter=text>\na\n</parameter>\n</function>\n</tool_call>"
)
TYPED = TAGGED.replace("echo", "note").replace("text", "{}").replace("\na\n", "\n{}\n")
THOUGHT = "<think>\nIt is needed.\n</think>\n"
READ: list[tuple[str, str, tuple[Call, ...] | None]] = [
    # words without a call end a turn, whatever they mention
    *(("qwen2.5", text, DONE) for text in ("", " \n", "Done.", "echo is not offered", "a < b > c")),
    ("qwen2.5", 'The answer was {"notes": 3, "more": [1]}, so all is written.', DONE),
    ("qwen2.5", "I call echo(text='a') next time.", DONE),
    ("qwen2.5", BLOCK, (ECHO,)),
    ("qwen2.5", f"I look.\n{BLOCK}\n{BLOCK}\n", (ECHO, ECHO)),
    ("qwen2.5", BLOCK.replace("\n", ""), (ECHO,)),
    ("qwen2.5", BLOCK.replace("echo", "nothing_like_it"), (Call(name="nothing_like_it", **ARGS),)),
    # broken
    ("qwen2.5", CALL, None),
    ("qwen2.5", f"```json\n{CALL}\n```", None),
    ("qwen2.5", f"I call:\n{CALL}", None),
    ("qwen2.5", "[echo(text='a')]", None),
    ("qwen2.5", "echo(text='a')", None),
    ("qwen2.5", f"{BLOCK} Done.", None),
    ("qwen2.5", f"{CALL}\n{BLOCK}", None),
    ("qwen2.5", BLOCK.removesuffix("</tool_call>"), None),
    ("qwen2.5", BLOCK.removeprefix("<tool_call>"), None),
    ("qwen2.5", BLOCK.replace("tool_call", "tool_calls"), None),
    ("qwen2.5", f"<tool_call>\n[{CALL}]\n</tool_call>", None),
    ("qwen2.5", "<tool_response>\na\n</tool_response>", None),
    ("qwen2.5", BLOCK.replace('{"text": "a"}', '"text"'), None),
    ("qwen2.5", BLOCK.replace('{"text": "a"}', '["a"]'), None),
    ("qwen2.5", BLOCK.replace('{"text": "a"}', '"{\\"text\\": \\"a\\"}"'), None),
    ("qwen2.5", BLOCK.replace(', "arguments": {"text": "a"}', ""), None),
    ("qwen2.5", BLOCK.replace('"name"', '"nme"'), None),
    ("qwen2.5", BLOCK.replace('"echo"', "5"), None),
    ("qwen2.5", BLOCK.replace('"echo"', '""'), None),
    ("qwen2.5", BLOCK.replace('"a"', '"a", "text": "b"'), None),
    ("qwen2.5", BLOCK.replace('{"text"', '{"text": "a"}, "parameters": {"text"'), None),
    ("qwen2.5", BLOCK.replace("}}", '}, "more": 1}'), None),
    ("qwen2.5", BLOCK.replace('"a"', "[" * 40 + "]" * 40), None),
    ("qwen2.5", BLOCK.replace('"a"', "[" * 9000), None),
    ("qwen2.5", BLOCK.replace('"a"', f'"{"a" * 20_000}"'), None),
    ("qwen2.5", "<tool_call>" * 1500, None),
    ("qwen2.5", "{" * 9000 + "}" * 9000, None),
    # thoughts
    ("qwen3", f"{THOUGHT}\n{BLOCK}", (ECHO,)),
    ("qwen3", f"<think>\n{BLOCK}?\n</think>\n\n{BLOCK}", (ECHO,)),
    ("qwen3", f"{THOUGHT}Done.", DONE),
    ("qwen3", f"<think>\n{BLOCK}\n</think>\n\nDone.", DONE),
    ("qwen3", f"<think>\n{BLOCK}\n</think>\n\n", None),
    ("qwen3", f"<think>\nIt is\n{BLOCK}", None),
    ("qwen3", "<think>", None),
    # text between tags
    ("qwen3.5", f"I look.\n\n{TAGGED}\n{TAGGED}", (ECHO, ECHO)),
    (
        "qwen3.5",
        TAGGED.replace("\na\n", "\n 1\n\n"),
        (Call(name="echo", arguments={"text": " 1\n"}),),
    ),
    *(
        ("qwen3.5", TYPED.format(name, text), (Call(name="note", arguments={name: value}),))
        for name, text, value in (
            *(("count", "1", 1), ("count", "one", "one"), ("sure", "True", True)),
            *(("sure", "false", False), ("more", '{"a": [1]}', {"a": [1]}), ("items", "[]", [])),
            *(("more", "None", None), ("unknown", "5", "5")),
        )
    ),
    ("qwen3.5", BLOCK, None),
    ("qwen3.5", TAGGED.replace("</function>\n", ""), None),
    ("qwen3.5", TAGGED.replace("</parameter>\n", ""), None),
    ("qwen3.5", TAGGED.replace("<function=echo>\n", ""), None),
    ("qwen3.5", TAGGED.removesuffix("</tool_call>"), None),
    ("qwen3.5", f"{TAGGED}\nDone.", None),
    # objects alone
    ("llama3.1", LLAMA, (ECHO,)),
    ("llama3.1", CALL, (ECHO,)),
    ("llama3.1", f"<|python_tag|>{LLAMA}; {LLAMA}\n{LLAMA}", (ECHO, ECHO, ECHO)),
    ("llama3.1", LLAMA.replace("{", '{"type": "function", ', 1), (ECHO,)),
    ("llama3.1", f"I look.\n{LLAMA}", None),
    ("llama3.1", f"{LLAMA} Done.", None),
    ("llama3.1", f"[{LLAMA}]", None),
    ("llama3.1", "<|python_tag|>echo.call(text='a')", None),
    ("llama3.1", LLAMA.removesuffix("}"), None),
    ("llama3.1", LLAMA[1:], None),
    # names
    ("mistral", f"I look.{NAMED}{NAMED}", (ECHO, ECHO)),
    ("mistral", f"[TOOL_CALLS][{CALL}]", None),
    ("mistral", NAMED.replace("[ARGS]", ""), None),
    ("mistral", NAMED.replace("echo", ""), None),
    ("mistral", NAMED.replace("[ARGS]", NAMED), None),
    ("mistral", NAMED.removeprefix("[TOOL_CALLS]"), None),
    ("mistral", f"{NAMED}Done.", None),
    # EnvTuning's protocol
    ("envtuning", THOUGHT + BLOCK, (ECHO,)),
    ("envtuning", f"{THOUGHT}<tool_call>[{CALL}, {CALL}]</tool_call>\n", (ECHO, ECHO)),
    ("envtuning", f"{THOUGHT}<answer>All is done.</answer>", DONE),
    ("envtuning", f"{THOUGHT}<answer></answer>", DONE),
    ("envtuning", BLOCK, None),
    ("envtuning", "<answer>Done.</answer>", None),
    ("envtuning", f"{THOUGHT}Done.", None),
    ("envtuning", f"{THOUGHT}{BLOCK}\n{BLOCK}", None),
    ("envtuning", f"{THOUGHT}{BLOCK}\n<answer>Done.</answer>", None),
    ("envtuning", f"{THOUGHT}<answer>Done.</answer>{BLOCK}", None),
    ("envtuning", f"{THOUGHT}<answer>{BLOCK}</answer>", None),
    ("envtuning", f"<think>{BLOCK}</think><answer>Done.</answer>", None),
    ("envtuning", f"{THOUGHT}<tool_call>[]</tool_call>", None),
    ("envtuning", f"{THOUGHT}<answer>Done.", None),
    ("envtuning", f"Well. {THOUGHT}<answer>Done.</answer>", None),
]


@pytest.mark.parametrize(("name", "text", "calls"), READ, ids=range(len(READ)))
def test_an_answer_is_read(name: str, text: str, calls: tuple[Call, ...] | None) -> None:
    renderer = WRITERS[name]()
    found = answer(renderer, text)
    assert (found.calls if not found.malformed else None) == calls, found
    assert len(found.malformed) < 300
    assert answer(renderer, text, stop=False).malformed, "it has no end"


def test_an_answer_ends_with_any_stop_token_and_has_no_control_token() -> None:
    for name, stops in {"qwen2.5": 2, "llama3.1": 3, "mistral": 1}.items():
        renderer = WRITERS[name]()
        body = renderer.write([ECHO])[:-1]
        assert len(renderer.stop_ids) == stops
        for stop in renderer.stop_ids:
            assert renderer.parse([*body, stop], TOOLS).calls == (ECHO,)
            assert renderer.parse([*body, stop, *body, stop], TOOLS).malformed
    renderer = WRITERS["qwen2.5"]()
    (start,) = renderer.tokenizer.encode("<|im_start|>")
    assert renderer.parse([start, *renderer.write(())], TOOLS).malformed
    assert renderer.parse([], TOOLS).malformed
    beyond = len(renderer.tokenizer) + 100  # a row of the output matrix that is no token
    assert renderer.parse([beyond, *renderer.write(())], TOOLS) == Action()
    assert renderer.show([beyond, *renderer.write([ECHO])]) == BLOCK
