"""What all notations of calls share.

An answer is read completely or not at all. It has no call only if nothing in it looks like one, so
a broken call is an error and never the end of a turn. TRL's `parse_response` is not used: it
returns an answer with one broken call as plain text, accepts arguments that are no object, and
reads at most one call of Llama.

JSON is decoded where it begins, so marks within its strings are data.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from rods.envs.calls import DEFAULT, CallError, Refusal, shown
from rods.envs.literals import after_blanks, refuse_deep_value
from rods.envs.notation import attempts_call
from rods.task import Call, ToolSpec

Tools = Mapping[str, ToolSpec]
ARGUMENTS = ("arguments", "parameters")
LABELS = {"type", "id"}  # fields that some models write in addition, without meaning here
END = "Done."  # an answer without calls


class Notation(ABC):
    """One way to write calls.

    Attributes:
        form: how to write them, for the model.
        marks: control tokens that are part of calls.
        most: calls of one answer that the family's chat templates can write.
        trace: what only a call or a part of one contains.
    """

    form: str
    marks: tuple[str, ...] = ()
    most = 1000
    trace = re.compile(
        r'</?(?:tool|function|parameter)|tool_call|\[/?tool_|\[args\]|python_tag|"argum|"param',
        re.IGNORECASE,
    )

    def write(self, calls: Sequence[Call], before: str = "") -> str:
        """An answer with these calls; without calls, one that ends the turn.

        Args:
            before: what the template writes before every answer.
        """
        return before + (self._write(calls) if calls else END)

    def read(self, text: str, tools: Tools) -> list[Call]:
        """The calls of an answer; none if it ends the turn.

        Args:
            tools: by name. A call of another tool is read too: the environment refuses it.

        Raises:
            CallError: a call is broken, or other text is where none may be.
        """
        thought, answer = split_thought(text)
        calls = self._read(answer, tools)
        if not calls:
            self.refuse_trace(answer, tools)
            if thought and not answer.strip():
                self.refuse_trace(thought, tools)
        return calls

    def refuse_trace(self, text: str, tools: Tools) -> None:
        """Refuse text that has a call or a part of one.

        Raises:
            CallError: it has.
        """
        unbalanced = text.count("{") != text.count("}")
        if unbalanced or self.trace.search(text) or attempts_call(text, tools):
            raise CallError(Refusal.NOT_CALLS, "a call is broken or in the wrong place")

    def first(self, text: str, mark: str, tools: Tools) -> int:
        """Where the first call begins, after words; the end of the text if there is none.

        Raises:
            CallError: the words have a part of a call.
        """
        at = text.find(mark)
        if at < 0:
            return len(text)
        self.refuse_trace(text[:at], tools)
        return at

    @abstractmethod
    def _write(self, calls: Sequence[Call]) -> str: ...

    @abstractmethod
    def _read(self, text: str, tools: Tools) -> list[Call]:
        """The calls of an answer without its thought; none if no call begins."""


def split_thought(text: str) -> tuple[str | None, str]:
    """The thought with which an answer begins, None without one, and the rest.

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


def call_of(value: Any) -> Call:
    """The call of a decoded object.

    Raises:
        CallError: it is not an object with a name and an object of arguments.
    """
    held = [name for name in ARGUMENTS if name in value] if isinstance(value, dict) else []
    name, arguments = (value.get("name"), value[held[0]]) if len(held) == 1 else (None, None)
    if not (name and isinstance(name, str) and isinstance(arguments, dict)):
        raise CallError(Refusal.NOT_CALLS, "a call is an object with a name and arguments")
    if more := value.keys() - {"name", *ARGUMENTS, *LABELS}:
        raise CallError(Refusal.NOT_CALLS, f"a call has no field {shown(min(more))}")
    refuse_deep_value(arguments, DEFAULT)
    return Call.model_construct(name=name, arguments=arguments)


def call_text(call: Call, arguments: str = "arguments") -> str:
    """The object of a call."""
    return as_json({"name": call.name, arguments: call.arguments})


def as_json(value: Any) -> str:
    """JSON as chat templates write it."""
    return json.dumps(value, ensure_ascii=False)


def skip(text: str, at: int, mark: str) -> int:
    """The position after a mark and the blanks behind it.

    Raises:
        CallError: the mark is not there.
    """
    if at < 0 or not text.startswith(mark, at):
        name = mark.strip("<>[]=")  # no token of the model in a message to it
        raise CallError(Refusal.NOT_CALLS, f"{name} is missing at character {max(at, 0)}")
    return after_blanks(text, at + len(mark))
