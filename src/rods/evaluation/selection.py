"""Which tasks an evaluation plays, and in which order.

The order mixes the categories, and within a category it is that of a hash. So the first N tasks are
a sample of all: equally many of each category, and not only the first classes of the benchmark.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

from rods.envs.base import Environment
from rods.envs.bfcl_data import benchmark_tasks, split
from rods.envs.guard import guard
from rods.envs.load import load_environment
from rods.envs.task_file import chosen_spec, read_task_file
from rods.errors import UserError
from rods.task import Task, by_category

SPLITS = {
    "test": ("test",),
    "train": ("train", "validation"),
    "all": ("train", "validation", "test"),
}


class Selection(NamedTuple):
    """The tasks of an evaluation, in the order in which they are played.

    Attributes:
        environment: its name, as `--env` takes it.
        split: the side of the benchmark; "" for the tasks of a file.
        limit: the most tasks that were asked for; None for all.
    """

    env: Environment
    environment: str
    split: str
    limit: int | None
    tasks: tuple[Task, ...]

    def facts(self) -> dict[str, object]:
        """What identifies the tasks."""
        names = {name: len(found) for name, found in by_category(self.tasks).items()}
        ids = "\n".join(task.id for task in self.tasks)
        return {
            "environment": self.environment,
            "split": self.split,
            "limit": self.limit,
            "categories": names,
            "sha256": hashlib.sha256(ids.encode()).hexdigest(),
        }


def all_tasks(environment: str, file: Path | None) -> tuple[Environment, list[Task]]:
    """An environment and all its tasks: those of the file, or the benchmark's.

    Raises:
        UserError: there is no such environment or file, or a task is unusable.
    """
    env = load_environment(chosen_spec(environment, file))
    if file is not None:
        guarded = guard(env)
        try:
            return env, read_task_file(file, guarded)
        finally:
            guarded.close()
    if environment != "bfcl":
        raise UserError(f"--env {environment}: name its tasks by --tasks FILE")
    return env, list(benchmark_tasks().values())


def select(
    environment: str,
    file: Path | None,
    side: str | None,
    categories: Sequence[str],
    limit: int | None,
) -> Selection:
    """The tasks that a command line names.

    Args:
        side: one of `SPLITS`; None: the test side.
        categories: none named: all.

    Raises:
        UserError: there is no such environment, file, side or category.
    """
    if file is not None and side is not None:
        raise UserError(f"--split {side}: goes with bfcl; all tasks of --tasks are played")
    env, tasks = all_tasks(environment, file)
    if file is None:
        side = side or "test"
        if side not in SPLITS:
            raise UserError(f"--split {side}: choose one of {', '.join(SPLITS)}")
        sides = split()
        tasks = [task for task in tasks if sides[task.source] in SPLITS[side]]
    groups = by_category(tasks)  # in the order of the benchmark, or of the user's file
    for name in categories:
        if name not in groups:
            raise UserError(f"--category {name}: choose one of {', '.join(groups)}")
    chosen = [sorted(groups[name], key=_rank) for name in groups if name in (categories or groups)]
    mixed = [task for task in chain(*zip_longest(*chosen)) if task is not None]
    return Selection(env, environment, side or "", limit, tuple(mixed[:limit]))


def _rank(task: Task) -> str:
    return hashlib.sha256(f"rods eval {task.label}".encode()).hexdigest()
