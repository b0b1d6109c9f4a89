"""Does jobs: varies a boundary task, and keeps what comes of it among the candidates.

A job's outcome depends on the run's seed, the task and the step at which it was chosen, and on what
exists already, so an interrupted job is simply done again.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

from rods.store.queue import Queue
from rods.store.rows import Job, Made
from rods.store.store import Store
from rods.synthesis.backend import Metered, Spent, Synthesis
from rods.task import Task

MAX_REASON = 200


class Producer:
    """Turns jobs into candidates.

    Args:
        seed: the run's.
    """

    def __init__(self, store: Store, queue: Queue, synthesis: Synthesis, seed: int) -> None:
        self.store, self.queue, self.synthesis, self.seed = store, queue, synthesis, seed

    def catch_up(self) -> None:
        """Learn of all tasks in the store, so that none of them is made again."""
        for task in (*self.store.tasks().values(), *self.queue.candidates()):
            self.synthesis.learn(task)

    def fill(self, wanted: int, epoch: int, step: int) -> None:
        """Do jobs until so many candidates wait, or no job is left."""
        missing = wanted - len(self.queue.waiting(epoch))
        for job in self.queue.open_jobs(epoch) if missing > 0 else ():
            if missing <= 0:
                break
            missing -= self.do(job, step)

    def do(self, job: Job, step: int) -> int:
        """Do one job; returns how many candidates it brought.

        Whatever goes wrong in synthesis is an outcome, and never the caller's failure.
        """
        began, before = time.monotonic(), Counter(self.synthesis.funnel)
        paid = _spent(self.synthesis)
        variant: Task | None = None
        self.queue.take(job)
        try:
            parent = self.queue.parent(job)
            rng = random.Random(f"{self.seed} {job.step} {job.task_id}")
            variant = self.synthesis.vary(parent, rng, job.epoch + 1)
            outcome = "made" if variant else "given up"
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"[:MAX_REASON]
        made = Made(
            outcome,
            [variant] if variant else [],
            _difference(self.synthesis.funnel, before),
            self.synthesis.take_failures(),
            time.monotonic() - began,
            _spent(self.synthesis).since(paid),
        )
        self.queue.finish(job, made, step)
        return len(made.variants)


def _spent(synthesis: Synthesis) -> Spent:
    return synthesis.spent if isinstance(synthesis, Metered) else Spent()


def _difference(now: Any, before: Counter[str]) -> dict[str, int]:
    return {name: now[name] - before[name] for name in sorted(now) if now[name] != before[name]}
