"""Tasks in files: JSON lines, one task a line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from rods.errors import UserError, first_problem
from rods.output import Output
from rods.store.store import Store
from rods.task import Task


def write_tasks(path: Path, tasks: Iterable[Task]) -> None:
    """Write the file as a whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    Output(path, folders=True).write(task.model_dump_json() + "\n" for task in tasks)


def read_tasks(path: Path) -> list[Task]:
    """Tasks of a JSON-lines file, or all tasks of a run folder.

    Raises:
        UserError: the file is missing or a line is no task; the message names line and field.
    """
    return [task for _, task in read_placed(path)]


def read_placed(path: Path) -> list[tuple[str, Task]]:
    """`read_tasks`, each task with its place (file and line) for messages about it.

    Raises:
        UserError: see `read_tasks`.
    """
    if path.is_dir():
        store = Store(path, role="reader")
        try:
            return [(f"{path}: task {task.id}", task) for task in store.tasks().values()]
        finally:
            store.close()
    tasks = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path}: line {number}"
        try:
            tasks.append((place, Task.model_validate_json(line)))
        except ValidationError as error:
            raise UserError(f"{place}: {first_problem(error)}") from None
    return tasks


def sync_tree(folder: Path) -> None:
    """Have all files of a folder on the disk, so that a power failure cannot take them."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_text(path: Path) -> str:
    """A UTF-8 file's text.

    Raises:
        UserError: it is missing, unreadable, or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
