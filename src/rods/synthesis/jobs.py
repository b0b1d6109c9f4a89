"""The interface of synthesis, and one job of it.

A job varies a task, or the first of several of which a variant can be made. It is the same during a
training (`worker`) and offline (`batches`). A refused attempt is normal. An exception is an error:
some part of synthesis is broken, and the next job will most likely fail in the same way.
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
from rods.synthesis.failures import ModelError
from rods.task import Task

T = TypeVar("T")
Counters = tuple[dict[str, int], Spent]
MADE, GIVEN_UP, ERROR = "made", "given up", "error"
"""Outcomes of a job. If a model did not answer, it is "no answer: " with the cause."""
MOST = 10  # errors in a row; see `synthesis.errors`


class Synthesis(Protocol):
    """Makes verified tasks and counts the outcome of each attempt."""

    @property
    def funnel(self) -> Mapping[str, int]:
        """Attempts so far by outcome: "tried", "admitted", or the cause of a failure."""

    def take_failures(self) -> list[dict[str, Any]]:
        """Histories of the parents whose attempts all failed, since the last call."""

    def learn(self, task: Task) -> None:
        """Add a task to those that exist, so that no near-copy of it is made."""

    def forget(self, task_ids: Collection[str]) -> None:
        """Remove tasks from those that exist, so that they may be made again."""

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        """A verified variant with the parent's profile; None if all attempts failed.

        The caller calls `learn` after it has stored the task.
        """

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        """A verified new task with the structure of one of the seed tasks; see `vary`."""


@runtime_checkable
class Metered(Protocol):
    """Synthesis that counts what it spends."""

    @property
    def spent(self) -> Spent:
        """What was spent so far."""


class NoSynthesis:
    """Makes no tasks: for runs whose tasks are given."""

    funnel: Mapping[str, int] = MappingProxyType({})

    def take_failures(self) -> list[dict[str, Any]]:
        return []

    def learn(self, task: Task) -> None:
        """Does nothing, since no task is made."""

    def forget(self, task_ids: Collection[str]) -> None:
        """Does nothing, since no task was made."""

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
        total: errors so far.
        gave_up: why synthesis was given up, or "".
    """

    most: int = MOST
    total: int = 0
    gave_up: str = ""
    _row: int = 0

    def add(self, error: ErrorText | None) -> None:
        """Count the end of a job. None, for a job without an error, ends the row."""
        if error is None:
            self._row = 0
            return
        self.total, self._row = self.total + 1, self._row + 1
        if self._row == self.most:
            self.gave_up = f"{self._row} errors in a row; last: {error.line}"


def do_job(
    synthesis: Synthesis,
    parents: Iterable[Task],
    rng: random.Random,
    epoch: int,
    fatal: tuple[type[Exception], ...] = (),
    *,
    cold: bool = False,
) -> JobResult:
    """Vary the first of some tasks of which a variant can be made.

    A failure of synthesis becomes the job's outcome and is not raised. An exception is an error,
    except that a model did not answer. A job with an error has no variant, even if only the
    counters of synthesis were wrong.

    Args:
        parents: taken one after the other; an exception of the iterator is an error of the job.
        epoch: the one that the variant is made in.
        fatal: exceptions that are raised.
        cold: the parents are start states, which no task names as its parent.

    Raises:
        Exception: one of `fatal`.
    """
    began = time.monotonic()
    variants: list[Task] = []
    errors: list[Exception] = []
    nothing: Counters = ({}, Spent())
    before: Counters | None = _asked(errors, lambda: _counters(synthesis), None)
    outcome = ERROR
    try:
        variants = _varied(synthesis, parents, rng, epoch, cold) if before else []
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
    synthesis: Synthesis, parents: Iterable[Task], rng: random.Random, epoch: int, cold: bool
) -> list[Task]:
    """The variant, if there is one.

    Raises:
        Exception: of any kind, if a part of synthesis is broken.
    """
    for parent in parents:
        variant: object = synthesis.vary(parent, rng, epoch)
        if variant is None:
            continue
        if not isinstance(variant, Task):
            raise TypeError(f"vary() gave no task but {type(variant).__name__}")
        if not cold and variant.parent != parent.id:  # as a candidate it would never be admitted
            named = f"names {variant.parent!r}" if variant.parent else "names no task"
            raise ValueError(f"vary() gave a task that {named} as its parent, not {parent.id!r}")
        return [variant]
    return []


def _counters(synthesis: Synthesis) -> Counters:
    """The counters of synthesis so far.

    Raises:
        Exception: they are no counters.
    """
    funnel = {str(name): int(count) for name, count in synthesis.funnel.items()}
    if not isinstance(synthesis, Metered):
        return funnel, Spent()
    tokens_in, tokens_out, cost = synthesis.spent
    return funnel, Spent(int(tokens_in), int(tokens_out), float(cost))


def _since(synthesis: Synthesis, before: Counters | None) -> Counters:
    """The increase of the counters; zero if they could not be read before.

    Raises:
        Exception: they are no longer counters.
    """
    if before is None:
        return {}, Spent()
    (funnel, spent), (known, paid) = _counters(synthesis), before
    came = {name: funnel[name] - known.get(name, 0) for name in sorted(funnel)}
    return {name: count for name, count in came.items() if count}, spent.since(paid)


def _failures(synthesis: Synthesis) -> list[dict[str, Any]]:
    """Histories of the parents that were given up.

    Raises:
        Exception: they cannot be stored.
    """
    found: object = synthesis.take_failures()
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise TypeError("take_failures() gave something else than a list of dicts")
    json.dumps(found)
    return found


def _asked(errors: list[Exception], ask: Callable[[], T], otherwise: T) -> T:
    """The answer. After an exception, which is added to the errors, it is `otherwise`."""
    try:
        return ask()
    except Exception as error:
        errors.append(error)
        return otherwise
