"""Files of tasks for any environment, in YAML or JSON lines: hand-written, or from `rods synth`.

docs/environments.md has the format. The tasks of a run are checked as a whole before one of them
is used, and each ground truth is executed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rods.envs.base import Environment, Work
from rods.envs.choice import chosen_by
from rods.envs.lane import TOO_SLOW
from rods.envs.task_entry import FileHeader, TaskEntry, is_header, is_stored, task_of
from rods.errors import UserError, first_problem
from rods.files.plain_data import Author, ReadError, named, plain, quoted
from rods.files.reading import entries
from rods.files.tasks import MOST_BYTES, stored_tasks
from rods.reward import TraceError, trusted_trace
from rods.task import Task

MOST = 200_000_000  # bytes of a file of seed tasks


class TaskFile:
    """The content of a file; its text is read whole before anything is executed.

    Attributes:
        header: what holds for all tasks.
        rows: place and content of each task.

    Raises:
        UserError: the file is not read; the message names the place.
    """

    def __init__(self, path: Path, most: int = MOST) -> None:
        self.path, self.header = path, FileHeader()
        self.rows: list[tuple[str, Any]] = []
        for number, (where, row) in enumerate(entries(path, Author.RODS, most)):
            if not is_stored(row):
                _refuse_unwritten(where, row)
            if number == 0 and is_header(row):
                self.header = _valid(FileHeader, where, row)
            else:
                self.rows.append((where, row))

    def placed(self, load: Callable[[], Environment]) -> list[tuple[str, Task]]:
        """Each task with its place; no ground truth is executed.

        Args:
            load: returns the environment; called only if people wrote some of the tasks.

        Raises:
            UserError: an entry is no task, or names what the environment lacks.
        """
        load, found = cache(load), []
        for where, row in self.rows:
            if is_stored(row):
                found.append((where, _valid(Task, where, row)))
            else:
                entry = _valid(TaskEntry, where, row)
                found.append((where, task_of(entry, self.header, _task(where, entry.id), load())))
        return found

    def tasks(self, env: Environment) -> list[Task]:
        """All tasks, each with its ground truth executed and its record; as tasks of the user.

        Raises:
            UserError: the file, an entry or a ground truth is unusable; the message names it.
        """
        if not self.rows:
            raise UserError(f"{self.path}: no tasks")
        found: dict[str, Task] = {}
        same: dict[str, str] = {}
        for where, row in self.rows:
            task = self._one(where, row, env)
            name = task.label
            if name in found:
                raise UserError(f"{where}: id: {name!r} appears twice")
            found[name] = _executed(task, _task(where, name), env)
            if (known := same.setdefault(task.id, name)) != name:
                message = f"{name!r} is the same task as {known!r}; remove one of them"
                raise UserError(f"{where}: {message}")
        return list(found.values())

    def _one(self, where: str, row: Any, env: Environment) -> Task:
        if not is_stored(row):
            entry = _valid(TaskEntry, where, row)
            return task_of(entry, self.header, _task(where, entry.id), env)
        task: Task = _valid(Task, where, row)
        if task.environment != env.name:
            message = f"{quoted(task.environment)} is not {env.name}; name it with --env"
            raise UserError(f"{where}: environment: {message}")
        # It begins anew: its parent may not be in this file.
        update = {"origin": "user", "source": task.label, "parent": "", "born": 0}
        return task.model_copy(update=update)


def read_task_file(path: Path, env: Environment) -> list[Task]:
    """Tasks of a file, each checked against the environment; see `TaskFile.tasks`.

    Raises:
        UserError: the file, an entry or a ground truth is unusable; the message names the place.
    """
    return TaskFile(path).tasks(env)


def chosen_spec(spec: str, path: Path | None) -> str:
    """The specification of an environment with the choice of tools that a task file makes, if any.

    Raises:
        UserError: the file cannot be read.
    """
    if path is None or spec == "bfcl" or os.path.isdir(path):
        return spec
    _, head = next(entries(path, Author.RODS, MOST_BYTES), ("", None))
    return chosen_by(spec, head)


def read_placed(path: Path, load: Callable[[], Environment]) -> list[tuple[str, Task]]:
    """Tasks of a file or of a run folder with their places; no ground truth is executed.

    Args:
        load: see `TaskFile.placed`.

    Raises:
        UserError: there are none, or an entry is no task; the message names the place.
    """
    folder = os.path.isdir(path)  # False, and no error, for a name that no file can have
    found = stored_tasks(path) if folder else TaskFile(path, MOST_BYTES).placed(load)
    if not found:
        raise UserError(f"{path}: no tasks")
    return found


def _refuse_unwritten(where: str, row: Any) -> None:
    """Refuse values that only RODS writes."""
    try:
        plain(row)
    except ReadError as error:
        raise UserError(f"{where}: {error.message}") from None


def _valid(form: Any, where: str, row: Any) -> Any:
    try:
        return form.model_validate(row)
    except ValidationError as error:
        raise UserError(f"{where}: {first_problem(error)}{named(row)}") from None


def _task(where: str, name: str) -> str:
    return f"{where}: task {name!r}"


def _executed(task: Task, where: str, env: Environment) -> Task:
    """The task with its record, after its ground truth gave the same twice."""
    for name in task.classes:
        if name not in env.classes:
            raise UserError(f"{where}: classes: {env.name} has no class {quoted(name)}")
    for name in task.start:
        if name not in task.classes:
            raise UserError(f"{where}: start: {name!r} is not among the task's classes")
    _check_tools(task, where, env)
    _check_start(task, where, env)
    try:
        trace = trusted_trace(task, env)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    for index, state in enumerate(trace.states):
        if not state.digest:
            message = (
                "the state after it cannot be serialised, so no answer can be compared with it"
            )
            raise UserError(f"{where}: turns.{index}: {message}")
    if task.record:  # the trace has repeated it
        return task
    task = task.model_copy(update={"record": trace.record})
    try:
        trusted_trace(task, env)
    except TraceError:
        message = "a second session gives other results; its tools must be deterministic"
        raise UserError(f"{where}: {message}") from None
    return task


def _check_start(task: Task, where: str, env: Environment) -> None:
    """Refuse a start state that does not fit; other failures may pass at the next try."""
    begins = f"task {task.label}: "
    try:
        for _ in range(2):  # the machine may stall once
            with closing(env.open(task)) as session:
                lost = env.execute([Work(session, (), None, True)])[0].lost
            if TOO_SLOW not in lost:
                break
    except UserError as error:
        lost = str(error)
    if lost.startswith(begins):
        raise UserError(f"{where}: {lost.removeprefix(begins)}")
    if TOO_SLOW in lost:
        raise UserError(f"{where}: {lost}; keep less in it, or raise the limit state_seconds")


def _check_tools(task: Task, where: str, env: Environment) -> None:
    tools = env.tools(task)
    restored = [name for turn in task.turns for name in turn.restores]
    for index, turn in enumerate(task.turns):
        for position, call in enumerate(turn.ground_truth):
            if call.name not in tools:
                place = f"turns.{index}.ground_truth.{position}"
                raise UserError(f"{where}: {place}: unknown tool {quoted(call.name)}")
    for name in task.withheld:
        if name not in tools:
            raise UserError(f"{where}: withheld: no tool {name!r}")
        if name not in restored:
            raise UserError(f"{where}: withheld: no turn restores {name!r}")
    for name in restored:
        if name not in task.withheld:
            raise UserError(f"{where}: restores: {name!r} is not withheld")
