"""Does jobs: varies a boundary task, and keeps what comes of it among the candidates.

A job's outcome depends on the run's seed, the task and the step at which it was chosen, and on what
exists already, so an interrupted job is simply done again.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

from rods.staging.trouble import Trouble, traced
from rods.store.queue import Queue
from rods.store.rows import Job, Made, Trace
from rods.store.store import Store
from rods.synthesis.backend import Metered, Spent, Synthesis
from rods.synthesis.llm.fault import ModelError
from rods.task import Task

MADE, KNOWN, GIVEN_UP, ERROR = "made", "known already", "given up", "error"
"""Outcomes of a job; another one is "no answer: ", with why the model gave none."""


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

        Whatever goes wrong in synthesis is an outcome, and never the caller's failure. An exception
        is noted as an error, unless it is a model's trouble to answer.
        """
        began, before = time.monotonic(), Counter(self.synthesis.funnel)
        paid = _spent(self.synthesis)
        found: list[Task] = []
        failed: Trace | None = None
        self.queue.take(job)
        try:
            found = self._varied(job)
            outcome = MADE if found else GIVEN_UP
            if found and self.store.has_task(found[0].id):
                found, outcome = [], KNOWN
        except ModelError as error:
            outcome = f"no answer: {error.cause}"
        except Exception as error:
            outcome, failed = ERROR, traced(error)
        made = Made(
            outcome,
            found,
            _difference(self.synthesis.funnel, before),
            self.synthesis.take_failures(),
            time.monotonic() - began,
            _spent(self.synthesis).since(paid),
            failed,
        )
        self.queue.finish(job, made, step)
        self.trouble.note(failed)
        return len(made.variants)

    def _varied(self, job: Job) -> list[Task]:
        """The variant, if there is one.

        Raises:
            Exception: whatever is raised by a part of synthesis that is broken.
        """
        parent = self.queue.parent(job)
        rng = random.Random(f"{self.seed} {job.step} {job.task_id}")
        variant: object = self.synthesis.vary(parent, rng, job.epoch + 1)
        if isinstance(variant, Task):
            return [variant]
        if variant is None:
            return []
        raise TypeError(f"vary() gave no task but {type(variant).__name__}")


def _spent(synthesis: Synthesis) -> Spent:
    return synthesis.spent if isinstance(synthesis, Metered) else Spent()


def _difference(now: Any, before: Counter[str]) -> dict[str, int]:
    return {name: now[name] - before[name] for name in sorted(now) if now[name] != before[name]}
