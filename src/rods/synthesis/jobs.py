"""What is asked of synthesis, whoever does it, and one job of it.

A job varies a task, or the first of several of which a variant can be made. It is the same beside a
training (`worker`) and offline (`maker`): a refused attempt is a part of the work, while an
exception is not. It means that some part of synthesis is broken, and that the next job will most
likely fail in the same way.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, runtime_checkable

from rods.errors import UserError
from rods.job_result import ErrorText, JobResult, Spent, error_text
from rods.synthesis.llm.fault import ModelError
from rods.task import Task

T = TypeVar("T")
Counters = tuple[dict[str, int], Spent]
MADE, GIVEN_UP, ERROR = "made", "given up", "error"
"""Outcomes of a job; one more is "no answer: " with the cause, if a model did not answer."""
MOST = 10  # errors in a row; see `synthesis.errors`


class Synthesis(Protocol):
    """Makes verified tasks and counts what became of each attempt."""

    @property
    def funnel(self) -> Mapping[str, int]:
        """Attempts so far by outcome: "tried", "admitted", or the cause of a failure."""

    def take_failures(self) -> list[dict[str, Any]]:
        """Histories of the seeds whose attempts all failed, since this was last asked."""

    def learn(self, task: Task) -> None:
        """From now on the task counts among those that exist: no near-copy of it is made."""

    def forget(self, task_ids: Collection[str]) -> None:
        """These tasks do not exist any more, so they may be made again."""

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        """A verified variant with the parent's profile, or None after all attempts failed."""

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        """A verified new task, sized like one of the seeds."""


@runtime_checkable
class Metered(Protocol):
    """Synthesis that knows what it spends."""

    @property
    def spent(self) -> Spent:
        """So far."""


class NoSynthesis:
    """Makes nothing: for runs whose tasks are given."""

    funnel: Mapping[str, int] = MappingProxyType({})

    def take_failures(self) -> list[dict[str, Any]]:
        return []

    def learn(self, task: Task) -> None:
        """Nothing is made, so nothing can resemble it."""

    def forget(self, task_ids: Collection[str]) -> None:
        """Nothing was made."""

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        return None

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        raise UserError("--arm fresh: these tools have no synthesis; use --arm static")


@dataclass
class ErrorCounter:
    """Counts the jobs of this process that ended in an error.

    Args:
        most: errors in a row after which synthesis is given up.

    Attributes:
        errors: so far.
        gave_up: why synthesis was stopped, or "".
    """

    most: int = MOST
    errors: int = 0
    gave_up: str = ""
    _row: int = 0

    def add(self, error: ErrorText | None) -> None:
        """Take the end of a job; None if it was no error, which ends the row."""
        if error is None:
            self._row = 0
            return
        self.errors, self._row = self.errors + 1, self._row + 1
        if self._row == self.most:
            self.gave_up = f"{self._row} errors in a row; last: {error.line}"


def do_job(
    synthesis: Synthesis,
    parents: Iterable[Task],
    rng: random.Random,
    epoch: int,
    fatal: tuple[type[Exception], ...] = (),
) -> JobResult:
    """Vary the first of some tasks of which a variant can be made.

    A failure of synthesis becomes the job's outcome and is not raised. An exception is noted as an
    error, unless it is a model's trouble to answer. A job with an error brings nothing, also where
    only what synthesis tells of it was wrong.

    Args:
        parents: taken one after the other; an exception of theirs is one of the job.
        epoch: in which the variant is born.
        fatal: exceptions that end more than the job.

    Raises:
        Exception: of `fatal`.
    """
    began = time.monotonic()
    variants: list[Task] = []
    errors: list[Exception] = []
    nothing: Counters = ({}, Spent())
    before: Counters | None = _asked(errors, lambda: _counters(synthesis), None)
    outcome = ERROR
    try:
        variants = _varied(synthesis, parents, rng, epoch) if before else []
        outcome = MADE if variants else GIVEN_UP
    except fatal:
        raise
    except ModelError as error:
        outcome = f"no answer: {error.cause}"
    except Exception as error:
        errors.append(error)
    funnel, spent = _asked(errors, lambda: _since(synthesis, before), nothing)
    failures: list[dict[str, Any]] = _asked(errors, lambda: _failures(synthesis), [])
    failed = error_text(errors[0]) if errors else None
    if failed is not None:
        variants, outcome = [], ERROR
    return JobResult(outcome, variants, funnel, failures, time.monotonic() - began, spent, failed)


def _varied(
    synthesis: Synthesis, parents: Iterable[Task], rng: random.Random, epoch: int
) -> list[Task]:
    """The variant, if there is one.

    Raises:
        Exception: of any kind, where a part of synthesis is broken.
    """
    for parent in parents:
        variant: object = synthesis.vary(parent, rng, epoch)
        if variant is None:
            continue
        if not isinstance(variant, Task):
            raise TypeError(f"vary() gave no task but {type(variant).__name__}")
        if variant.parent != parent.id:  # it would wait for that one, and never join
            named = f"names {variant.parent!r}" if variant.parent else "names no task"
            raise ValueError(f"vary() gave a task that {named} as its parent, not {parent.id!r}")
        return [variant]
    return []


def _counters(synthesis: Synthesis) -> Counters:
    """What synthesis has counted so far.

    Raises:
        Exception: they are no counters.
    """
    funnel = {str(name): int(count) for name, count in synthesis.funnel.items()}
    if not isinstance(synthesis, Metered):
        return funnel, Spent()
    tokens_in, tokens_out, cost = synthesis.spent
    return funnel, Spent(int(tokens_in), int(tokens_out), float(cost))


def _since(synthesis: Synthesis, before: Counters | None) -> Counters:
    """What came to the counters; nothing where they could not be read before.

    Raises:
        Exception: they are no counters any more.
    """
    if before is None:
        return {}, Spent()
    (funnel, spent), (known, paid) = _counters(synthesis), before
    came = {name: funnel[name] - known.get(name, 0) for name in sorted(funnel)}
    return {name: count for name, count in came.items() if count}, spent.since(paid)


def _failures(synthesis: Synthesis) -> list[dict[str, Any]]:
    """Histories of the attempts that failed, as they can be stored.

    Raises:
        Exception: they cannot.
    """
    found: object = synthesis.take_failures()
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise TypeError("take_failures() gave something else than a list of dicts")
    json.dumps(found)
    return found


def _asked(errors: list[Exception], ask: Callable[[], T], otherwise: T) -> T:
    """The answer, or another one and the error."""
    try:
        return ask()
    except Exception as error:
        errors.append(error)
        return otherwise
