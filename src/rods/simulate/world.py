"""The population of simulated tasks: seed tasks, held-out tasks, fresh tasks, and variants.

Skills are pairs of a tool family and a dependency depth, numbered family * depths + depth. A task
has 2 to 5 turns with one or two skills each; small depths are more frequent. The difficulty of a
turn is the sum of the task's, the category's and the turn's; later turns are harder.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from rods.simulate.items import (
    ENVIRONMENT,
    ORIGIN,
    ROW,
    SKILLS,
    TURNS,
    Items,
    Rows,
    as_row,
    as_task,
)
from rods.simulate.learner import IN_USE, Floats
from rods.simulate.settings import Settings
from rods.task import Task

BLOCK = 256  # fresh tasks that are drawn at a time


class SimulatedWorld:
    """One random world: abilities before training, seed tasks and held-out tasks.

    Args:
        seeds: number of seed tasks.
        rng: of all that is drawn, now and later.

    Attributes:
        categories: in the order of their indices.
        ability: of the base model in each skill, in logits.
        items: parameters of all tasks that may be trained on, the seed tasks first.
        heldout: parameters of the held-out tasks.
    """

    def __init__(self, settings: Settings, seeds: int, rng: np.random.Generator) -> None:
        self.settings, self.rng = settings, rng
        self.categories = tuple(settings.world.harder)
        self.ability = self._abilities()
        self.heldout = self.draw(settings.world.heldout)
        self.items = Items()
        self.seeds = Seeds(self.items, self.draw(seeds), self.categories)

    def draw(self, count: int) -> Rows:
        """Parameters of new tasks; the categories alternate."""
        world, rng = self.settings.world, self.rng
        rows = np.zeros(count, ROW)
        rows["category"] = np.arange(count) % len(self.categories)
        rows["turns"] = rng.integers(2, TURNS, count, endpoint=True)
        used = rows["turns"][:, None] > IN_USE
        shape = (count, TURNS, SKILLS)
        likely = 1 / np.arange(1, world.depths + 1)
        depths = rng.choice(world.depths, shape, p=likely / likely.sum())
        skills = rng.integers(world.tools, size=shape) * world.depths + depths
        single = rng.random(shape[:2]) >= world.two_skills
        skills[single, 1] = skills[single, 0]
        rows["skills"] = skills * used[..., None]
        difficulty = np.array(list(world.harder.values()))[rows["category"], None]
        difficulty = difficulty + world.task_spread * rng.standard_normal((count, 1))
        difficulty = difficulty + world.turn_spread * rng.standard_normal((count, TURNS))
        rows["difficulty"] = (difficulty + world.later * IN_USE) * used
        return rows

    def vary(self, parent: Rows, rng: random.Random) -> Rows:
        """Parameters of a variant: the parent's structure, with some other tools.

        Args:
            parent: one row, shape [1], like the result.
        """
        world, variants = self.settings.world, self.settings.variants
        row = parent.copy()
        skills, difficulty = row["skills"][0], row["difficulty"][0]
        for turn in range(int(row["turns"][0])):
            single = skills[turn, 0] == skills[turn, 1]
            for place in range(1 if single else SKILLS):
                if rng.random() < variants.replaced:
                    depth = int(skills[turn, place]) % world.depths
                    other = rng.randrange(world.tools) * world.depths + depth
                    skills[turn, slice(None) if single else place] = other
            difficulty[turn] += rng.gauss(0, variants.jitter)
        return row

    def _abilities(self) -> Floats:
        world, rng = self.settings.world, self.rng
        ability = world.tool_spread * rng.standard_normal((world.tools, 1))
        ability = ability + world.skill_spread * rng.standard_normal((world.tools, world.depths))
        ability = ability - world.deeper * np.arange(world.depths)
        centred: Floats = (ability - ability.mean() + world.level).ravel()
        return centred


class Seeds(Collection[Task]):
    """The seed tasks. Each is made when it is read, so millions of them fit into memory."""

    def __init__(self, items: Items, rows: Rows, categories: Sequence[str]) -> None:
        self.items, self._count, self._categories = items, len(rows), categories
        items.add(rows)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Task]:
        for number, row in enumerate(self.items.rows[: self._count]):
            task = as_task(row, self._categories)
            self.items.name(number, task.id)
            yield task

    def __contains__(self, task: object) -> bool:
        if not isinstance(task, Task) or task.environment != ENVIRONMENT:
            return False
        return bool((self.items.rows[: self._count] == as_row(task)).any())


class SimulatedSynthesis:
    """Simulated synthesis: variants by their parameters, without text.

    It implements `rods.synthesis.jobs.Synthesis`.
    """

    def __init__(self, world: SimulatedWorld) -> None:
        self.world = world
        self.funnel: Counter[str] = Counter()
        self._fresh: list[Rows] = []

    def take_failures(self) -> list[dict[str, Any]]:
        """None: no simulated failure is recorded."""
        return []

    def learn(self, task: Task) -> None:
        """Nothing to do: difficulties are real numbers, so there are no near-copies."""

    def forget(self, task_ids: Collection[str]) -> None:
        """Nothing to do, as for `learn`."""

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        self.funnel["tried"] += 1
        if rng.random() >= self.world.settings.variants.success:
            self.funnel["failed"] += 1
            return None
        self.funnel["admitted"] += 1
        row = self.world.vary(as_row(parent), rng)
        return self._made(row, parent=parent.id, born=epoch)

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        """A fresh task; tasks are drawn from the world, a block at a time."""
        if not self._fresh:
            drawn = self.world.draw(BLOCK)
            self._fresh = [drawn[at : at + 1] for at in reversed(range(BLOCK))]
        return self._made(self._fresh.pop(), born=epoch)

    def _made(self, row: Rows, **fields: Any) -> Task:
        task = as_task(row[0], self.world.categories, origin=ORIGIN, **fields)
        self.world.items.name(self.world.items.add(row), task.id)
        return task
