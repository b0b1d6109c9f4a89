"""The form of a task file: what people write, and what `rods synth` writes."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from rods.envs.base import Environment
from rods.envs.calls import CallError, Refusal
from rods.envs.notation import parse_calls, read_objects
from rods.errors import UserError
from rods.files.plain_data import ReadError, plain
from rods.task import BASE, Call, Category, Task, ToolSpec, Turn

MOST_SYSTEM = 100_000  # characters
OWN_FIELDS = frozenset(
    {"environment", "origin", "source", "parent", "born", "note", "record", "lineage"}
)
"""Fields that only tasks have which RODS wrote."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileHeader(_Entry):
    """What holds for all tasks of a file."""

    system: str = Field(
        "", max_length=MOST_SYSTEM, description="system message of the tasks that have none"
    )
    tools: list[str] | None = Field(
        None, description="the tools of the classes, unless --env names some"
    )


class TurnEntry(_Entry):
    """One user turn."""

    user: str = Field("", max_length=20_000, description="what the user says")
    calls: list[str | dict[str, JsonValue]] = Field(
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
    system: str = Field(
        "", max_length=MOST_SYSTEM, description="system message, such as the agent's policy"
    )
    turns: list[TurnEntry] = Field(min_length=1, max_length=50)

    @field_validator("id")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("has a character that cannot be printed")
        return name


def is_header(row: Any) -> bool:
    """Whether the first entry of a file is its header."""
    return isinstance(row, dict) and bool(row) and row.keys() <= FileHeader.model_fields.keys()


def is_stored(row: Any) -> bool:
    """Whether an entry is a task as RODS writes it."""
    if not isinstance(row, dict):
        return False
    turns = row.get("turns")
    turns = turns if isinstance(turns, list) else []
    called = any(isinstance(turn, dict) and "ground_truth" in turn for turn in turns)
    return called or not OWN_FIELDS.isdisjoint(row)


def task_of(entry: TaskEntry, header: FileHeader, where: str, env: Environment) -> Task:
    """The task that a person wrote; nothing is executed.

    Args:
        where: begins messages.

    Raises:
        UserError: a call cannot be read or no tool takes it.
    """
    classes = tuple(env.classes) if entry.classes is None else tuple(entry.classes)
    task = Task(
        category=entry.category,
        classes=classes,
        start=entry.start,
        turns=tuple(Turn(user=t.user, restores=tuple(t.restores)) for t in entry.turns),
        withheld=tuple(entry.withheld),
        system=entry.system or header.system,
        environment=env.name,
        origin="user",
        source=entry.id,
    )
    tools = env.tools(task)
    turns = tuple(
        turn.model_copy(update={"ground_truth": _calls(written, f"{where}: turns.{i}", env, tools)})
        for i, (turn, written) in enumerate(zip(task.turns, entry.turns, strict=True))
    )
    return task.model_copy(update={"turns": turns})


def _calls(
    written: TurnEntry, where: str, env: Environment, tools: dict[str, ToolSpec]
) -> tuple[Call, ...]:
    calls: list[Call] = []
    for position, each in enumerate(written.calls):
        try:
            if isinstance(each, str):
                calls += map(_kept, parse_calls(each, tools))
            else:
                calls += map(_kept, read_objects([each], tools))
        except (CallError, ReadError) as error:
            why = f"{error}{_hint(error, env)}"
            raise UserError(f"{where}.calls.{position}: {why}") from None
    return tuple(calls)


def _hint(error: Exception, env: Environment) -> str:
    """How to mend a tool that is not known."""
    unknown = isinstance(error, CallError) and error.refusal is Refusal.UNKNOWN_TOOL
    if not unknown:
        return ""
    if env.name == "bfcl":
        return "; tools of your own are named by --env"
    left_out: dict[str, str] = getattr(env, "left_out", {})
    named = (why for name, why in left_out.items() if str(error) == f"unknown tool {name!r}")
    return "".join(f", which is left out: {why}" for why in named)


def _kept(call: Call) -> Call:
    """The call with its arguments as they are stored, so that tools see the same ones later."""
    return Call(name=call.name, arguments=plain(call.arguments))
