"""New tasks for the comparison arm "fresh": none of them is trained on twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from rods.config import Config
from rods.errors import UserError
from rods.synthesis.jobs import Synthesis
from rods.task import Task

BARREN = 1_000  # fresh tasks in a row that cannot be used


def fresh_tasks(
    synthesis: Synthesis, config: Config, epoch: int, seeds: int, known: Callable[[str], bool]
) -> Iterator[Task]:
    """The tasks of an epoch: as many as there are seeds, in whole steps.

    Args:
        known: whether a task with that id exists.

    Raises:
        UserError: synthesis makes no fresh tasks of the stage's categories.
    """
    categories, size = config.stage(epoch).categories, config.rollout.tasks_per_step
    wanted = max(1, seeds // size) * size
    rng, made, barren = random.Random(f"{config.seed} epoch {epoch}"), set[str](), 0
    while len(made) < wanted:
        task = synthesis.fresh(rng, epoch)
        fits = task.category in categories or not categories
        if fits and task.id not in made and not known(task.id):
            made.add(task.id)
            barren = 0
            yield task
        elif (barren := barren + 1) >= BARREN:
            names = f" or none of {', '.join(categories)}" if categories else ""
            found = f"the last {BARREN} of them are known{names}"
            raise UserError(f"--arm fresh: synthesis makes no new tasks ({found})")
