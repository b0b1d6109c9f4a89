"""Does jobs: varies a boundary task, and keeps what comes of it among the candidates.

A job's outcome depends on the run's seed, the task and the step at which it was chosen, and on what
exists already, so an interrupted job is simply done again.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from rods.staging.trouble import Trouble, traced
from rods.store.queue import Queue
from rods.store.rows import Job, Made
from rods.store.store import Store
from rods.synthesis.backend import Metered, Spent, Synthesis
from rods.synthesis.llm.fault import ModelError
from rods.task import Task

T = TypeVar("T")
Counters = tuple[dict[str, int], Spent]
MADE, KNOWN, GIVEN_UP, ERROR = "made", "known already", "given up", "error"
"""Outcomes of a job; one more is "no answer: " with the cause, if a model did not answer."""


class Producer:
    """Turns jobs into candidates.

    Args:
        seed: the run's.
        trouble: counts errors, and ends the work when there are too many.
    """

    def __init__(
        self,
        store: Store,
        queue: Queue,
        synthesis: Synthesis,
        seed: int,
        trouble: Trouble | None = None,
    ) -> None:
        self.store, self.queue, self.synthesis, self.seed = store, queue, synthesis, seed
        self.trouble = trouble or Trouble()

    def catch_up(self) -> None:
        """Learn of all tasks in the store, so that none of them is made again."""
        for task in (*self.store.tasks().values(), *self.queue.candidates()):
            self.synthesis.learn(task)

    def fill(self, wanted: int, epoch: int, step: int) -> None:
        """Do jobs until so many candidates wait, no job is left, or synthesis is given up."""
        missing = wanted - len(self.queue.waiting(epoch))
        for job in self.queue.open_jobs(epoch) if missing > 0 else ():
            if missing <= 0 or self.trouble.gave_up:
                break
            missing -= self.do(job, step)

    def do(self, job: Job, step: int) -> int:
        """Do one job; returns how many candidates it brought.

        A failure of synthesis becomes the job's outcome and is never raised. An exception
        is noted as an error, unless it is a model's trouble to answer. A job with an error brings
        nothing, also where only what synthesis tells of it was wrong.
        """
        began = time.monotonic()
        found: list[Task] = []
        errors: list[Exception] = []
        nothing: Counters = ({}, Spent())
        self.queue.take(job)
        before: Counters | None = _asked(errors, self._counters, None)
        outcome = ERROR
        try:
            found = self._varied(job) if before else []
            outcome = MADE if found else GIVEN_UP
            if found and self.store.has_task(found[0].id):
                found, outcome = [], KNOWN
        except ModelError as error:
            outcome = f"no answer: {error.cause}"
        except Exception as error:
            errors.append(error)
        funnel, spent = _asked(errors, lambda: self._since(before), nothing)
        failures: list[dict[str, Any]] = _asked(errors, self._failures, [])
        failed = traced(errors[0]) if errors else None
        if failed is not None:
            found, outcome = [], ERROR
        seconds = time.monotonic() - began
        self.queue.finish(job, Made(outcome, found, funnel, failures, seconds, spent, failed), step)
        self.trouble.note(failed)
        return len(found)

    def _varied(self, job: Job) -> list[Task]:
        """The variant, if there is one.

        Raises:
            Exception: of any kind, where a part of synthesis is broken.
        """
        parent = self.queue.parent(job)
        rng = random.Random(f"{self.seed} {job.step} {job.task_id}")
        variant: object = self.synthesis.vary(parent, rng, job.epoch + 1)
        if variant is None:
            return []
        if not isinstance(variant, Task):
            raise TypeError(f"vary() gave no task but {type(variant).__name__}")
        if variant.parent != parent.id:  # it would wait for that one, and never join
            named = f"names {variant.parent!r}" if variant.parent else "names no task"
            raise ValueError(f"vary() gave a task that {named} as its parent, not {parent.id!r}")
        return [variant]

    def _counters(self) -> Counters:
        """What synthesis has counted so far.

        Raises:
            Exception: they are no counters.
        """
        funnel = {str(name): int(count) for name, count in self.synthesis.funnel.items()}
        if not isinstance(self.synthesis, Metered):
            return funnel, Spent()
        tokens_in, tokens_out, cost = self.synthesis.spent
        return funnel, Spent(int(tokens_in), int(tokens_out), float(cost))

    def _since(self, before: Counters | None) -> Counters:
        """What came to them; nothing where they could not be read before.

        Raises:
            Exception: they are no counters any more.
        """
        if before is None:
            return {}, Spent()
        (funnel, spent), (known, paid) = self._counters(), before
        came = {name: funnel[name] - known.get(name, 0) for name in sorted(funnel)}
        return {name: count for name, count in came.items() if count}, spent.since(paid)

    def _failures(self) -> list[dict[str, Any]]:
        """Histories of the attempts that failed, as they can be stored.

        Raises:
            Exception: they cannot.
        """
        found: object = self.synthesis.take_failures()
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
