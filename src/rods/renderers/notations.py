"""How families of models write calls: answers to calls, and back.

An answer is read completely or not at all. It has no call only if nothing in it looks like one, so
that a broken call is an error and never the end of a turn. TRL's `parse_response` is not used: it
returns an answer with one broken call as plain text, accepts arguments that are no object, and
reads one call at most of Llama.

JSON is decoded where it begins, so marks within its strings are data.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from rods.envs.calls import DEFAULT, CallError, Refusal, shown
from rods.envs.literals import after_blanks, read_json_at, refuse_deep_value
from rods.envs.notation import END_MARK, MARK, attempts_call
from rods.task import Call, ToolSpec

ARGUMENTS = ("arguments", "parameters")
LABELS = {"type", "id"}  # fields that some models write as well; they say nothing new
TRACE = re.compile(
    r'</?tool|\[/?tool_|\[args\]|python_tag|<function|"(?:arguments|parameters)"\s*:',
    re.IGNORECASE,
)
"""What only a call, or a part of one, contains."""
TAG = re.compile(r"</?(?:think|tool_call|answer)>")
OBJECT = '{"name": TOOL, "arguments": {PARAMETER: VALUE}}'
END = "Done."  # an answer without calls


class Notation(ABC):
    """One way to write calls.

    Attributes:
        form: how to write them, for the model.
        marks: control tokens that are part of calls.
    """

    form: str
    marks: tuple[str, ...] = ()

    def write(self, calls: Sequence[Call], before: str = "") -> str:
        """An answer with these calls; without calls, one that ends the turn.

        Args:
            before: what the template writes before every answer.
        """
        return before + (self._write(calls) if calls else END)

    def read(self, text: str, tools: Mapping[str, ToolSpec]) -> list[Call]:
        """The calls of an answer; none if it ends the turn.

        Args:
            tools: by name; text that begins with one of them and a bracket is no end of a turn.

        Raises:
            CallError: a call is broken, or other text is where none may be.
        """
        thought, answer = split_thought(text)
        calls = self._read(answer)
        if not calls:
            refuse_trace(answer, tools)
            if thought and not answer.strip():
                refuse_trace(thought)
        return calls

    @abstractmethod
    def _write(self, calls: Sequence[Call]) -> str: ...

    @abstractmethod
    def _read(self, text: str) -> list[Call]:
        """The calls of an answer without its thought; none if no call begins anywhere."""


class Blocks(Notation):
    """Qwen's and Hermes': words, then `<tool_call>` blocks with an object each."""

    form = f"Write each call as {MARK}{OBJECT}{END_MARK}. If no call is needed, answer in words."

    def _write(self, calls: Sequence[Call]) -> str:
        return "\n".join(f"{MARK}\n{_written(call)}\n{END_MARK}" for call in calls)

    def _read(self, text: str) -> list[Call]:
        at, calls = text.find(MARK), []
        if at >= 0:
            refuse_trace(text[:at])
        while 0 <= at < len(text):
            at = _skip(text, at, MARK)
            value, at = read_json_at(text, at, "no call")
            at = _skip(text, at, END_MARK)
            calls.append(_call(value))
        return calls


class Bare(Notation):
    """Llama's: nothing but objects, several of them separated by semicolons."""

    form = (
        'To make a call, write only {"name": TOOL, "parameters": {PARAMETER: VALUE}}.'
        " If no call is needed, answer in words."
    )
    marks = ("<|python_tag|>",)
    _between = re.compile(r"(?:\s|;|<\|python_tag\|>)*+")

    def _write(self, calls: Sequence[Call]) -> str:
        return "; ".join(_written(call, "parameters") for call in calls)

    def _read(self, text: str) -> list[Call]:
        at, calls = self._after(text, 0), []
        if not text.startswith("{", at):
            return []
        while at < len(text):
            value, at = read_json_at(text, at, "no call")
            calls.append(_call(value))
            at = self._after(text, at)
        return calls

    def _after(self, text: str, at: int) -> int:
        found = self._between.match(text, at)
        return found.end() if found else at


class Named(Notation):
    """Mistral's since its tokenizer 11: words, then a name and its arguments for each call."""

    form = (
        "Write each call as [TOOL_CALLS]TOOL[ARGS]{PARAMETER: VALUE}."
        " If no call is needed, answer in words."
    )
    marks = ("[TOOL_CALLS]", "[ARGS]")

    def _write(self, calls: Sequence[Call]) -> str:
        return "".join(f"[TOOL_CALLS]{c.name}[ARGS]{_json(c.arguments)}" for c in calls)

    def _read(self, text: str) -> list[Call]:
        at, calls = text.find("[TOOL_CALLS]"), []
        if at >= 0:
            refuse_trace(text[:at])
        while 0 <= at < len(text):
            start = _skip(text, at, "[TOOL_CALLS]")
            end = text.find("[ARGS]", start)
            value, at = read_json_at(text, _skip(text, end, "[ARGS]"), "no call")
            calls.append(_call({"name": text[start:end].strip(), "arguments": value}))
        return calls


class Thoughtful(Notation):
    """EnvTuning's (arXiv 2510.10197): a thought, then one block of calls or one answer."""

    form = (
        f"Write <think>...</think> and then either {MARK}[{OBJECT}, ...]{END_MARK} or, if no call"
        " is needed, <answer>...</answer>, and nothing else."
    )

    def write(self, calls: Sequence[Call], before: str = "") -> str:
        said = self._write(calls) if calls else f"<answer>{END}</answer>"
        return f"<think>...</think>\n{said}"

    def read(self, text: str, tools: Mapping[str, ToolSpec]) -> list[Call]:
        return self._read(text)

    def _write(self, calls: Sequence[Call]) -> str:
        return f"{MARK}\n[{', '.join(map(_written, calls))}]\n{END_MARK}"

    def _read(self, text: str) -> list[Call]:
        thought, rest = split_thought(text)
        if thought is None:
            raise CallError(Refusal.NOT_CALLS, "no <think> at the beginning")
        rest = rest.strip()
        if rest.startswith(MARK):
            value, at = read_json_at(rest, len(MARK), "no call")
            if _skip(rest, at, END_MARK) < len(rest):
                raise CallError(Refusal.NOT_CALLS, "text after the calls")
            if calls := [_call(each) for each in (value if isinstance(value, list) else [value])]:
                return calls
        said = rest.removeprefix("<answer>").removesuffix("</answer>")
        if len(said) < len(rest) - len("<answer>") and not TAG.search(thought + said):
            return []
        raise CallError(Refusal.NOT_CALLS, "neither calls nor an answer")


NATIVE: tuple[Notation, ...] = (Blocks(), Bare(), Named())


def split_thought(text: str) -> tuple[str | None, str]:
    """The thought with which an answer begins, if it does, and the rest.

    Raises:
        CallError: the thought has no end.
    """
    start = text.lstrip()
    if not start.startswith("<think>"):
        return None, text
    thought, end, rest = start.removeprefix("<think>").partition("</think>")
    if not end:
        raise CallError(Refusal.NOT_CALLS, "the thought has no end")
    return thought, rest


def refuse_trace(text: str, tools: Mapping[str, ToolSpec] | None = None) -> None:
    """Refuse text that has a part of a call.

    Raises:
        CallError: it does.
    """
    broken = text.count("{") != text.count("}")
    if broken or TRACE.search(text) or attempts_call(text, tools or {}):
        raise CallError(Refusal.NOT_CALLS, "a call that is not complete, or in the wrong place")


def _call(value: Any) -> Call:
    """The call of a decoded object."""
    held = [name for name in ARGUMENTS if name in value] if isinstance(value, dict) else []
    name, arguments = (value.get("name"), value[held[0]]) if len(held) == 1 else (None, None)
    if not (name and isinstance(name, str) and isinstance(arguments, dict)):
        raise CallError(Refusal.NOT_CALLS, "no object with a name and an object of arguments")
    if more := value.keys() - {"name", *ARGUMENTS, *LABELS}:
        raise CallError(Refusal.NOT_CALLS, f"a call has no field {shown(min(more))}")
    refuse_deep_value(arguments, DEFAULT)
    return Call.model_construct(name=name, arguments=arguments)


def _written(call: Call, arguments: str = "arguments") -> str:
    return _json({"name": call.name, arguments: call.arguments})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _skip(text: str, at: int, mark: str) -> int:
    """The position after a mark and the blanks around it.

    Raises:
        CallError: the mark is not there.
    """
    if at < 0 or not text.startswith(mark, at):
        raise CallError(Refusal.NOT_CALLS, f"{mark} is missing at character {max(at, 0)}")
    return after_blanks(text, at + len(mark))
