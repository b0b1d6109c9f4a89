"""The tasks to export, each with its place in the file for error messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rods.envs.bfcl_data import split
from rods.envs.load import load_environment
from rods.envs.task_file import read_placed
from rods.errors import UserError
from rods.files.plain_data import quoted
from rods.task import Task, ToolSpec


class Item(NamedTuple):
    """A task with its file and line."""

    where: str
    task: Task


def read_items(path: Path, env: str) -> list[Item]:
    """All tasks of a file or run folder.

    Args:
        env: name of the environment, which is loaded if people wrote some of the tasks.

    Raises:
        UserError: there are no tasks, or one is unusable; the message names line and field.
    """
    items = [Item(*placed) for placed in read_placed(path, lambda: load_environment(env))]
    for where, task in items:
        if not task.turns:
            raise UserError(f"{where}: turns: the task has none")
    return items


def equipped(items: Sequence[Item], env: str) -> Iterator[tuple[Item, dict[str, ToolSpec]]]:
    """Each task with the tools of its classes, withheld ones included.

    Args:
        env: name of the environment, see `load_environment`.

    Raises:
        UserError: the environment cannot be loaded, is not the task's, or lacks a class or tool
            that the task names.
    """
    environment = load_environment(env)
    for item in items:
        where, task = item
        if task.environment != environment.name:
            message = f"{quoted(task.environment)} is not {environment.name}; name it with --env"
            raise UserError(f"{where}: environment: {message}")
        tools = environment.tools(task)
        for owner in task.classes:
            if not any(tool.owner == owner for tool in tools.values()):
                raise UserError(f"{where}: classes: {environment.name} has no {quoted(owner)}")
        for field, names in _named(task):
            for name in names:
                if name not in tools:
                    raise UserError(f"{where}: {field}: no tool {quoted(name)} in its classes")
        yield item, tools


def side(task: Task) -> str:
    """The task's side of the split: "train" for every task that is not the benchmark's own."""
    if task.environment == "bfcl" and task.origin == "benchmark":
        return split().get(task.source, "train")
    return "train"


def _named(task: Task) -> Iterator[tuple[str, Sequence[str]]]:
    """Each field that names tools, and the names."""
    yield "withheld", task.withheld
    for index, turn in enumerate(task.turns):
        yield f"turns.{index}.restores", turn.restores
        yield f"turns.{index}.ground_truth", [call.name for call in turn.ground_truth]
