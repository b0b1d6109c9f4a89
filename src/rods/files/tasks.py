"""Tasks that RODS wrote: JSON lines, one task on each line, and run folders.

`rods.envs.task_file` also reads tasks that people wrote.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from rods.errors import UserError, first_problem
from rods.files.output import Output
from rods.files.plain_data import Author
from rods.files.reading import entries
from rods.store.store import Store
from rods.task import Task

MOST_BYTES = 2_000_000_000


def write_tasks(path: Path, tasks: Iterable[Task]) -> None:
    """Write the file completely or not at all.

    Raises:
        UserError: it cannot be written.
    """
    Output(path, folders=True).write(task.model_dump_json() + "\n" for task in tasks)


def read_tasks(path: Path) -> list[Task]:
    """Tasks of a JSON-lines file, or all tasks of a run folder.

    Raises:
        UserError: the file is missing, or a line is no task; the message names line and field.
    """
    if os.path.isdir(path):  # False, and no error, for a name that no file can have
        return [task for _, task in stored_tasks(path)]
    tasks = []
    for place, entry in entries(path, Author.RODS, MOST_BYTES):
        try:
            tasks.append(Task.model_validate(entry))
        except ValidationError as error:
            raise UserError(f"{place}: {first_problem(error)}") from None
    return tasks


def stored_tasks(folder: Path) -> list[tuple[str, Task]]:
    """All tasks of a run folder, each with its place for messages.

    Raises:
        UserError: the folder has no run.
    """
    store = Store(folder, role="reader")
    try:
        return [(f"{folder}: task {task.id}", task) for task in store.tasks().values()]
    finally:
        store.close()
