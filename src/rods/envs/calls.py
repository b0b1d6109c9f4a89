"""Calls and their limits: named refusals, bounds, the check before execution, and retries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import Field, JsonValue

from rods.envs.base import Observation, Outcome
from rods.files.plain_data import HALF
from rods.files.reading import Setting
from rods.task import Call, ToolSpec

T = TypeVar("T")
TRIES = 3
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
}


class Refusal(StrEnum):
    """Why a call, or a text meant as calls, was refused or stopped. Counted by these names."""

    NOT_CALLS = "not calls"
    UNKNOWN_TOOL = "unknown tool"
    UNKNOWN_ARGUMENT = "unknown argument"
    MISSING_ARGUMENT = "missing argument"
    REPEATED_ARGUMENT = "repeated argument"
    EXTRA_ARGUMENT = "too many arguments"
    NOT_LITERAL = "not a literal"
    TYPE = "unusable type"
    TEXT = "text too long"
    ITEMS = "too many items"
    DEPTH = "nested too deep"
    NUMBER = "number out of bounds"
    HAZARD = "known hazard"
    TIME = "time limit"
    MEMORY = "memory limit"
    PROCESS = "process ended"


STOPPED = frozenset({Refusal.TIME, Refusal.MEMORY, Refusal.PROCESS})
"""Limits that stop a running call. The cause may be the call or a slow machine."""


class CallError(ValueError):
    """A call that is refused before a tool is called; the message is for the agent."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal

    def observation(self) -> Observation:
        """The error as the agent sees it."""
        text = f"Error during execution: {self}"
        return Observation(text, ok=False, raised=True, refused=self.refusal.value)


class CallLimits(Setting):
    """Limits of one call, and of what surrounds it."""

    seconds: float = Field(1.0, gt=0, le=3600, description="most seconds of one call")
    state_seconds: float = Field(
        10.0, gt=0, le=3600, description="most seconds of making a session, or of reading its state"
    )
    megabytes: int = Field(
        512, ge=64, description="most memory of a worker beyond what it starts with"
    )
    workers: int = Field(1, ge=1, le=256, description="processes; sessions are spread over them")


class Bounds(Setting):
    """Upper bounds of a call. All ground truths of the benchmark are far below them."""

    text: int = Field(20_000, ge=1, description="characters of a call's text and of a string")
    items: int = Field(1_000, ge=1, description="entries of a list or object")
    depth: int = Field(8, ge=1, description="nesting of lists and objects")
    number: int = Field(10**18, ge=1, description="size of a number")


DEFAULT = Bounds()


def check_call(call: Call, tools: dict[str, ToolSpec], bounds: Bounds = DEFAULT) -> None:
    """Refuse calls that no tool can take, and arguments beyond the bounds.

    Raises:
        CallError: unknown tool or argument, a required one missing, or a bound exceeded.
    """
    if not call.name:  # an action that could not be read
        raise CallError(Refusal.NOT_CALLS, "no call could be read")
    tool = tools.get(call.name)
    if tool is None:
        raise CallError(Refusal.UNKNOWN_TOOL, f"unknown tool {shown(call.name)}")
    for name, value in call.arguments.items():
        if name not in tool.parameters:
            message = f"{call.name} has no argument {shown(name)}"
            raise CallError(Refusal.UNKNOWN_ARGUMENT, message)
        _within(value, f"{call.name}: argument {name!r}", bounds)
    for name in tool.required:
        if name not in call.arguments:
            message = f"{call.name}: argument {name!r} is missing"
            raise CallError(Refusal.MISSING_ARGUMENT, message)


def misfit(value: JsonValue, schema: Mapping[str, Any]) -> str:
    """What a value must be, if it is not of the schema's type or among its choices; else ""."""
    expected = schema.get("type")
    types = TYPES.get(expected) if isinstance(expected, str) else None
    if types and (
        not isinstance(value, types) or (isinstance(value, bool) and expected != "boolean")
    ):
        return f"must be of type {expected}"
    choices = schema.get("enum")
    if isinstance(choices, list) and choices and value not in choices:
        return f"must be one of {', '.join(map(str, choices[:12]))}"
    return ""


def shown(name: object) -> str:
    """A name from the agent, quoted and shortened, for a message."""
    text = repr(name)
    return text if len(text) <= 80 else text[:80] + "..."


def retried(attempt: Callable[[], T], failed: Callable[[T], bool]) -> T:
    """The result of the first attempt that did not fail, or else of the last of `TRIES` attempts.

    For work in which the environment may have failed, and not the task or the call.
    """
    result = attempt()
    for _ in range(TRIES - 1):
        if not failed(result):
            break
        result = attempt()
    return result


def any_failed(outcomes: Sequence[Outcome]) -> bool:
    """Whether a limit stopped a call, or a session was lost."""
    refusals = (seen.refused for outcome in outcomes for seen in outcome.observations)
    return any(outcome.lost for outcome in outcomes) or not STOPPED.isdisjoint(refusals)


def _within(value: Any, where: str, bounds: Bounds, depth: int = 0) -> None:
    if depth > bounds.depth:
        raise CallError(Refusal.DEPTH, f"{where} is nested deeper than {bounds.depth}")
    if isinstance(value, str):
        if len(value) > bounds.text:
            raise CallError(Refusal.TEXT, f"{where} has more than {bounds.text} characters")
        if HALF.search(value):  # no file and no request can hold it
            raise CallError(Refusal.TYPE, f"{where} has half of a character")
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int | float):
        if not abs(value) <= bounds.number:  # written so that it refuses NaN too
            message = f"{where} is not a number within {bounds.number:.0e}"
            raise CallError(Refusal.NUMBER, message)
    elif isinstance(value, list | tuple | dict):
        if len(value) > bounds.items:
            raise CallError(Refusal.ITEMS, f"{where} has more than {bounds.items} items")
        for item in value:
            _within(item, where, bounds, depth + 1)
        if isinstance(value, dict):
            for item in value.values():
                _within(item, where, bounds, depth + 1)
    else:
        message = f"{where} is a {type(value).__name__}, which no tool takes"
        raise CallError(Refusal.TYPE, message)
