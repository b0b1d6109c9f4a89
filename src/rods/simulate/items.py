"""Parameters of simulated tasks in one compact table, and the tasks that have them.

A task's `start` contains its row, so its id is the hash of its content, as for all tasks.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rods.errors import UserError
from rods.task import Task

TURNS = 5  # most turns of a task, as in the paper
SKILLS = 2  # most skills that a turn needs
ENVIRONMENT = "simulated"
ORIGIN = "simulated"

ROW = np.dtype(
    [
        ("category", "u1"),
        ("turns", "u1"),
        ("skills", "u1", (TURNS, SKILLS)),
        ("difficulty", "<f4", (TURNS,)),
    ]
)
"""A task: index of its category, number of turns, and for each turn its two skills (the same one
twice if it needs one) and its difficulty in logits. Unused turns are zero."""

Rows = npt.NDArray[Any]


def as_task(row: Any, categories: Sequence[str], **fields: Any) -> Task:
    """The task with these parameters.

    Args:
        categories: of the world, by their index.
        fields: other fields of the task, such as its parent.
    """
    return Task(
        category=categories[row["category"]],
        classes=(),
        start={"row": b64encode(row.tobytes()).decode()},
        turns=(),
        environment=ENVIRONMENT,
        **fields,
    )


def as_row(task: Task) -> Rows:
    """The parameters of a simulated task, shape [1].

    Raises:
        UserError: it is not a simulated task.
    """
    text = task.start.get("row")
    try:
        return np.frombuffer(b64decode(str(text), validate=True), ROW, count=1)
    except ValueError:
        raise UserError(f"task {task.id}: is no simulated task") from None


class Items:
    """All tasks that may be trained on, by number; rows are added and never change."""

    def __init__(self) -> None:
        self._rows: Rows = np.zeros(0, ROW)
        self._number: dict[str, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> Rows:
        """Parameters of all tasks, shape [len(self)]."""
        return self._rows[: self._count]

    def add(self, rows: Rows) -> int:
        """Append rows, whose tasks may be named later; returns the number of the first one."""
        first = self._count
        if first + len(rows) > len(self._rows):
            room = np.zeros(max(len(rows), first // 2), ROW)
            self._rows = np.concatenate([self.rows, room])
        self._rows[first : first + len(rows)] = rows
        self._count += len(rows)
        return first

    def name(self, number: int, task_id: str) -> None:
        """Set the id of the task that a row belongs to."""
        self._number[task_id] = number

    def numbers(self, task_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Numbers of tasks, shape [len(task_ids)].

        Raises:
            KeyError: a task has no row.
        """
        return np.fromiter((self._number[i] for i in task_ids), np.int64, len(task_ids))
