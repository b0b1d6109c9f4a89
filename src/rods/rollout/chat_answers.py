"""Reads what a chat endpoint answers: calls, the end of a turn, or a malformed action."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rods.endpoint.answer import ChatAnswer, RawCall
from rods.envs.calls import DEFAULT, CallError, Refusal
from rods.envs.literals import read_json, refuse_deep_value
from rods.files.plain_data import quoted
from rods.renderers.notation import Notation, Tools, call_of, call_text
from rods.rollout.episode import Action
from rods.task import Call

FORM = "Call tools by their names, with a JSON object of arguments."


class Fenced(Notation):
    """Calls in code fences, as models write them that were trained on no marks of calls."""

    form = FORM
    _fence = re.compile(r"```(?:json)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)

    def _write(self, calls: Sequence[Call]) -> str:
        return "\n".join(f"```json\n{call_text(call)}\n```" for call in calls)

    def _read(self, text: str, tools: Tools) -> list[Call]:
        blocks = [block for block in self._fence.findall(text) if self.trace.search(block)]
        if blocks:
            self.refuse_trace(self._fence.sub("", text), tools)
        values = [read_json(block, "no call") for block in blocks]
        each = [value if isinstance(value, list) else [value] for value in values]
        return [call_of(item) for items in each for item in items]


def read_action(answer: ChatAnswer, tools: Tools, notations: Sequence[Notation]) -> Action:
    """The action of an answer. Never raises: an unreadable answer is a malformed action.

    Args:
        notations: in which calls within the text are read; if there are several, the server is
            expected to read the calls itself.
    """
    try:
        if answer.cut:
            raise CallError(Refusal.NOT_CALLS, f"it was cut off after {answer.tokens_out} tokens")
        if len(answer.text) > DEFAULT.text:
            raise CallError(Refusal.TEXT, f"it has more than {DEFAULT.text} characters")
        if len(answer.calls) > DEFAULT.items:
            raise CallError(Refusal.ITEMS, f"it has more than {DEFAULT.items} calls")
        if not answer.calls:
            return Action(tuple(read_text(answer.text, tools, notations)))
        notations[0].refuse_trace(
            answer.text, tools
        )  # the server's parser may have left a broken call there
        return Action(tuple(_call(raw) for raw in answer.calls))
    except CallError as error:
        form = FORM if len(notations) > 1 else notations[0].form
        return Action(malformed=f"The answer cannot be read: {error}. {form}")


def read_text(text: str, tools: Tools, notations: Sequence[Notation]) -> list[Call]:
    """The calls within a text, in the first notation that has some; none if it ends the turn.

    Raises:
        CallError: a call is broken in each notation.
    """
    broken: CallError | None = None
    for notation in notations:
        try:
            if calls := notation.read(text, tools):
                return calls
        except CallError as error:
            broken = broken or error
    if broken is not None:
        raise broken
    return []


def _call(raw: RawCall) -> Call:
    if not raw.name:
        raise CallError(Refusal.NOT_CALLS, "a call has no name")
    if len(raw.arguments) > DEFAULT.text:
        message = f"more than {DEFAULT.text} characters of arguments"
        raise CallError(Refusal.TEXT, message)
    where = f"{quoted(raw.name)}: the arguments are not JSON"
    arguments = read_json(raw.arguments.strip() or "{}", where)
    if not isinstance(arguments, dict):
        message = f"{quoted(raw.name)}: the arguments must be an object"
        raise CallError(Refusal.NOT_CALLS, message)
    refuse_deep_value(arguments, DEFAULT)
    return Call.model_construct(name=raw.name, arguments=arguments)
