"""What comes of a job of synthesis: variants, what they took, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from traceback import TracebackException
from types import MappingProxyType
from typing import Any, NamedTuple

from rods.errors import hidden, printable, shown
from rods.task import Task

MAX_LINE = 200  # characters
MAX_TRACE = 6_000  # characters
FRAMES = 20  # the innermost ones


class Spent(NamedTuple):
    """What a model was used for, `cost` in the currency of the configured prices."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def since(self, before: Spent) -> Spent:
        """What came to it."""
        read, written = self.tokens_in - before.tokens_in, self.tokens_out - before.tokens_out
        return Spent(read, written, self.cost - before.cost)


class Trace(NamedTuple):
    """An exception in words.

    Attributes:
        line: its type and message.
        text: the traceback.
    """

    line: str
    text: str


class Made(NamedTuple):
    """What became of a job.

    Attributes:
        outcome: "made", "known already", "given up", "error", or why a model gave no answer.
        variants: verified tasks.
        funnel: attempts by outcome.
        failures: histories of seeds that were given up.
        spent: of a model.
        error: if it was one.
        passed: attempts by the stage that they got through; only counted offline.
    """

    outcome: str
    variants: list[Task]
    funnel: Mapping[str, int]
    failures: list[dict[str, Any]]
    seconds: float
    spent: Spent = Spent()
    error: Trace | None = None
    passed: Mapping[str, int] = MappingProxyType({})


def traced(error: Exception) -> Trace:
    """An exception in words, without secrets and control characters, and of bounded length."""
    trace = TracebackException.from_exception(error, limit=-FRAMES)
    line = shown("".join(trace.format_exception_only()), MAX_LINE)
    text = printable(hidden("".join(trace.format())), keep="\n")
    if len(text) > MAX_TRACE:
        half = MAX_TRACE // 2
        left_out = f"\n[{len(text) - 2 * half} characters are left out]\n"
        text = text[:half] + left_out + text[-half:]
    return Trace(line, text)
