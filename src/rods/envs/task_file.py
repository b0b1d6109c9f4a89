"""Tasks that people write in YAML or JSON lines, for any environment.

An entry has the format `TaskEntry`, with calls as text. The whole file is checked, and each ground
truth is executed, before any task is returned.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from rods.envs.base import Environment
from rods.envs.calls import CallError
from rods.envs.notation import parse_calls
from rods.errors import UserError, first_problem
from rods.files.plain_data import ReadError, named, plain
from rods.files.reading import entries
from rods.reward import TraceError, trusted_trace
from rods.task import BASE, Call, Category, Task, ToolSpec, Turn


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TurnEntry(_Entry):
    """One user turn."""

    user: str = Field("", max_length=20_000, description="what the user says")
    calls: list[str] = Field(
        default_factory=list, description="ground truth, in order; none if no call is right"
    )
    restores: list[str] = Field(
        default_factory=list, description="withheld tools that are offered from this turn on"
    )


class TaskEntry(_Entry):
    """One task."""

    id: str = Field(min_length=1, max_length=200, description="your name for it, unique")
    category: Category = Field(BASE, description="your name for its kind")
    start: dict[str, JsonValue] = Field(
        default_factory=dict, description="start state: {class: {attribute: value}}"
    )
    classes: list[str] | None = Field(None, description="classes that it uses; default: all")
    withheld: list[str] = Field(default_factory=list, description="tools not offered at first")
    turns: list[TurnEntry] = Field(min_length=1, max_length=50)

    @field_validator("id")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("has a character that cannot be printed")
        return name


def read_task_file(path: Path, env: Environment, classes: tuple[str, ...]) -> list[Task]:
    """Tasks of a file, each checked against the environment.

    Args:
        classes: the classes of a task that names none.

    Raises:
        UserError: the file, an entry or a ground truth is unusable; the message names the place.
    """
    tasks: dict[str, Task] = {}
    same: dict[str, str] = {}
    for where, row in list(entries(path)):  # the text is read before anything is executed
        try:
            entry = TaskEntry.model_validate(row)
        except ValidationError as error:
            raise UserError(f"{where}: {first_problem(error)}{named(row)}") from None
        if entry.id in tasks:
            raise UserError(f"{where}: id: {entry.id!r} appears twice")
        task = tasks[entry.id] = _task(entry, f"{where}: task {entry.id!r}", env, classes)
        if (known := same.setdefault(task.id, entry.id)) != entry.id:
            message = f"{entry.id!r} is the same task as {known!r}; remove one of them"
            raise UserError(f"{where}: {message}")
    if not tasks:
        raise UserError(f"{path}: no tasks")
    return list(tasks.values())


def _task(entry: TaskEntry, where: str, env: Environment, classes: tuple[str, ...]) -> Task:
    task = Task(
        category=entry.category,
        classes=tuple(entry.classes) if entry.classes is not None else classes,
        start=entry.start,
        turns=tuple(Turn(user=t.user, restores=tuple(t.restores)) for t in entry.turns),
        withheld=tuple(entry.withheld),
        environment=env.name,
        origin="user",
        source=entry.id,
    )
    tools = env.tools(task)
    turns = tuple(
        turn.model_copy(update={"ground_truth": _calls(written, f"{where}: turns.{i}", tools)})
        for i, (turn, written) in enumerate(zip(task.turns, entry.turns, strict=True))
    )
    task = task.model_copy(update={"turns": turns})
    _check_withheld(task, tools, where)
    for name in task.start:
        if name not in task.classes:
            raise UserError(f"{where}: start: {name!r} is not among the task's classes")
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
    task = task.model_copy(update={"record": trace.record})
    try:
        trusted_trace(task, env)
    except TraceError:
        message = "a second session gives other results; its tools must be deterministic"
        raise UserError(f"{where}: {message}") from None
    return task


def _calls(written: TurnEntry, where: str, tools: dict[str, ToolSpec]) -> tuple[Any, ...]:
    calls: list[Any] = []
    for position, text in enumerate(written.calls):
        try:
            calls += [_kept(call) for call in parse_calls(text, tools)]
        except (CallError, ReadError) as error:
            raise UserError(f"{where}.calls.{position}: {error}") from None
    return tuple(calls)


def _kept(call: Call) -> Call:
    """The call with its arguments as they are stored, so that tools see the same ones later."""
    return Call(name=call.name, arguments=plain(call.arguments))


def _check_withheld(task: Task, tools: dict[str, ToolSpec], where: str) -> None:
    restored = [name for turn in task.turns for name in turn.restores]
    for name in task.withheld:
        if name not in tools:
            raise UserError(f"{where}: withheld: no tool {name!r}")
        if name not in restored:
            raise UserError(f"{where}: withheld: no turn restores {name!r}")
    for name in restored:
        if name not in task.withheld:
            raise UserError(f"{where}: restores: {name!r} is not withheld")
