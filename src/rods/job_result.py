"""The result of a job of synthesis: variants, costs and errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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
        """The difference to an earlier state."""
        read, written = self.tokens_in - before.tokens_in, self.tokens_out - before.tokens_out
        return Spent(read, written, self.cost - before.cost)


class ErrorText(NamedTuple):
    """An exception as text.

    Attributes:
        line: its type and message.
        text: the traceback.
    """

    line: str
    text: str


class JobResult(NamedTuple):
    """The result of a job.

    Attributes:
        outcome: "made", "known already", "given up", "error", or "no answer: " with the cause.
        variants: verified tasks.
        funnel: attempts by outcome.
        failures: histories of parents that were given up.
        spent: by a model.
        error: the exception, if there was one.
        passed: attempts that passed each stage; only counted offline.
        refused: refused tasks with their reasons, if `rods synth` keeps them.
        stopped: calls that a limit stopped, by tool and limit; only counted offline.
    """

    outcome: str
    variants: list[Task]
    funnel: Mapping[str, int]
    failures: list[dict[str, Any]]
    seconds: float
    spent: Spent = Spent()
    error: ErrorText | None = None
    passed: Mapping[str, int] = MappingProxyType({})
    refused: Sequence[dict[str, Any]] = ()
    stopped: Mapping[str, int] = MappingProxyType({})


def joined(results: Sequence[JobResult]) -> JobResult:
    """The results of a job that made several variants one after the other.

    Its outcome is that of the first one, or "error" if one of them ended so; what was made before
    an error is kept. Offline counts (`passed`, `refused`) are those of the first.
    """
    first, last = results[0], results[-1]
    funnel: Counter[str] = Counter()
    for result in results:
        funnel.update(result.funnel)
    return first._replace(
        outcome=first.outcome if last.error is None else last.outcome,
        variants=[task for result in results for task in result.variants],
        funnel=funnel,
        failures=[failure for result in results for failure in result.failures],
        seconds=sum(result.seconds for result in results),
        spent=Spent(*map(sum, zip(*(result.spent for result in results), strict=True))),
        error=last.error,
    )


def error_text(error: Exception) -> ErrorText:
    """An exception as text of bounded length, without secrets and control characters."""
    trace = TracebackException.from_exception(error, limit=-FRAMES)
    line = shown("".join(trace.format_exception_only()), MAX_LINE)
    text = printable(hidden("".join(trace.format())), keep="\n")
    if len(text) > MAX_TRACE:
        half = MAX_TRACE // 2
        left_out = f"\n[{len(text) - 2 * half} characters are left out]\n"
        text = text[:half] + left_out + text[-half:]
    return ErrorText(line, text)
