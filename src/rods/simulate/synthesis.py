"""The double of synthesis: variants by their parameters, without a word of text."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection
from typing import Any

from rods.simulate.items import ORIGIN, Rows, as_row, as_task
from rods.simulate.world import SimulatedWorld
from rods.task import Task

BLOCK = 256  # fresh tasks that are drawn at a time


class SimulatedSynthesis:
    """Implements `rods.synthesis.jobs.Synthesis` in a world."""

    def __init__(self, world: SimulatedWorld) -> None:
        self.world = world
        self.funnel: Counter[str] = Counter()
        self._fresh: list[Rows] = []

    def take_failures(self) -> list[dict[str, Any]]:
        """None are kept: nothing can be learnt from them."""
        return []

    def learn(self, task: Task) -> None:
        """Difficulties are real numbers, so no two tasks are alike."""

    def forget(self, task_ids: Collection[str]) -> None:
        """No two tasks are alike."""

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        self.funnel["tried"] += 1
        if rng.random() >= self.world.settings.variants.success:
            self.funnel["failed"] += 1
            return None
        self.funnel["admitted"] += 1
        row = self.world.vary(as_row(parent), rng)
        return self._made(row, parent=parent.id, born=epoch)

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        """Drawn from the world's own generator, a block at a time."""
        if not self._fresh:
            drawn = self.world.draw(BLOCK)
            self._fresh = [drawn[at : at + 1] for at in reversed(range(BLOCK))]
        return self._made(self._fresh.pop(), born=epoch)

    def _made(self, row: Rows, **fields: Any) -> Task:
        task = as_task(row[0], self.world.categories, origin=ORIGIN, **fields)
        self.world.items.name(self.world.items.add(row), task.id)
        return task
