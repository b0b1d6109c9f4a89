"""A person's verdicts on synthetic tasks, in a file beside them that is edited by hand.

The file is YAML, an entry for each task in the order of the tasks: what is said, the calls and what
they are answered, and a verdict. Verdicts belong to the content of a task, so they hold when the
tasks are made again. Words and calls that were changed are checked by all gates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from rods.envs.calls import CallError
from rods.envs.notation import parse_calls
from rods.errors import UserError, first_problem, printable
from rods.files.output import Output
from rods.files.plain_data import ReadError, plain
from rods.files.reading import entries, read_text
from rods.reward import trusted_trace
from rods.synthesis.inputs import SynthesisInputs
from rods.task import BASE, Call, Task, ToolSpec, Turn

ANSWER = 300  # characters of a response that are shown
HEADER = """\
# Read each task, and write accept or reject behind "verdict"; leave it empty until you have read
# it. You may change what the user says, and the calls. "answers" shows what the tools answer;
# changes there have no effect. Then run the command again:
#   {command}
"""


class ReviewTurn(BaseModel):
    """One turn of an entry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str = ""
    calls: tuple[str, ...] = ()
    restores: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


class Review(BaseModel):
    """An entry.

    Attributes:
        task: id of the task as it was made.
        kind: how the task was made; for the reader.
        note: what the person wants to remember.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    verdict: Literal["accept", "reject"] | None = None
    kind: str = ""
    note: str | None = None
    turns: tuple[ReviewTurn, ...]


@dataclass
class Outcome:
    """What a review says about some tasks.

    Attributes:
        kept: the tasks to train on: those that are not rejected, with their changes.
        refused: changed tasks that a gate refuses, by the id of the task, each with the gate.
    """

    kept: list[Task] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    accepted: int = 0
    edited: int = 0
    rejected: int = 0
    unread: int = 0

    def counts(self) -> dict[str, int]:
        """The tasks that remain, and how many have which verdict."""
        return {
            "tasks": len(self.kept),
            "accepted": self.accepted,
            "changed": self.edited,
            "rejected": self.rejected,
            "not read": self.unread,
        }


def review_path(tasks: Path) -> Path:
    """The file of verdicts beside a file of tasks."""
    return tasks.with_name(f"{tasks.name.removesuffix('.jsonl')}.review.yaml")


def reviewed_path(tasks: Path) -> Path:
    """The file of the tasks that remain."""
    return tasks.with_name(f"{tasks.name.removesuffix('.jsonl')}.reviewed.jsonl")


def read_review(path: Path) -> dict[str, Review]:
    """The entries of a review by the id of their task; none if there is no file.

    Raises:
        UserError: the file or an entry is unusable; the message names line and field.
    """
    found: dict[str, Review] = {}
    if not path.exists():
        return found
    for where, row in entries(path):
        try:
            entry = Review.model_validate(row)
        except ValidationError as error:
            raise UserError(f"{where}: {first_problem(error)}") from None
        if entry.task in found:
            raise UserError(f"{where}: task: {entry.task!r} appears twice")
        found[entry.task] = entry
    return found


def add_entries(
    path: Path,
    tasks: Sequence[Task],
    known: Mapping[str, Review],
    inputs: SynthesisInputs,
    command: str,
) -> int:
    """Add an entry for each task that has none; what is in the file stays as it is.

    Args:
        command: shown to the person.

    Returns:
        How many were added.

    Raises:
        UserError: a task cannot be executed, or the file cannot be written.
    """
    new = {task.id: task for task in tasks if task.id not in known}
    if new:
        before = read_text(path).rstrip("\n") + "\n" if known else HEADER.format(command=command)
        rows = [_row(task, trusted_trace(task, inputs.env).responses) for task in new.values()]
        pieces = (f"\n{_written([row])}" for row in rows)
        Output(path, folders=True).write([before, *pieces])
    return len(new)


def judge(
    tasks: Sequence[Task],
    reviews: Mapping[str, Review],
    inputs: SynthesisInputs,
    path: Path,
    *,
    accepted: bool = False,
) -> Outcome:
    """The tasks that remain after a review.

    Args:
        path: the review's file, for messages.
        accepted: only those that were accepted remain.

    Raises:
        UserError: calls of an entry cannot be read.
    """
    found, critic, edits = Outcome(), inputs.critic(), list[tuple[int, Task, Task]]()
    for task in tasks:
        entry = reviews.get(task.id)
        if entry is not None and entry.verdict == "reject":
            found.rejected += 1
            continue
        if entry is None or entry.verdict is None:
            found.unread += 1
            if accepted:
                continue
        else:
            found.accepted += 1
        changed = entry and _changed(task, entry, inputs.tools, path)
        if changed:
            edits.append((len(found.kept), task, changed))
        else:
            critic.admit(task)
        found.kept.append(task)
    known = {task.id: task for task in (*inputs.tasks, *tasks)}
    for position, task, changed in edits:
        fault = critic.review(changed, known.get(task.parent))
        if fault:
            found.refused[task.id] = fault
            continue
        critic.admit(changed)
        record = trusted_trace(changed, inputs.env).record
        found.kept[position] = changed.model_copy(update={"record": record})
        found.edited += 1
    left_out = found.refused.keys()
    found.kept = [task for task in found.kept if task.id not in left_out]
    return found


def rejected(path: Path, tools: Mapping[str, ToolSpec]) -> dict[str, Task]:
    """The tasks that a review rejects, without their start states, by their id.

    Raises:
        UserError: see `read_review`, and calls of an entry cannot be read.
    """
    return {
        entry.task: Task(
            category=BASE, classes=(), start={}, turns=tuple(_turns(entry, tools, path))
        )
        for entry in read_review(path).values()
        if entry.verdict == "reject"
    }


def _changed(task: Task, entry: Review, tools: Mapping[str, ToolSpec], path: Path) -> Task | None:
    """The task with what a person has changed; None if nothing was."""
    turns = tuple(_turns(entry, tools, path))
    if turns == task.turns:
        return None
    lineage = {**task.lineage, "edited": task.id}
    return task.model_copy(update={"turns": turns, "record": (), "lineage": lineage})


def _turns(entry: Review, tools: Mapping[str, ToolSpec], path: Path) -> Iterable[Turn]:
    for number, turn in enumerate(entry.turns):
        calls: list[Call] = []
        for position, text in enumerate(turn.calls):
            try:
                calls += parse_calls(text, tools)
            except (CallError, ReadError) as error:
                where = f"task {entry.task}: turns.{number}.calls.{position}"
                raise UserError(f"{path}: {where}: {error}") from None
        kept = tuple(Call(name=c.name, arguments=plain(c.arguments)) for c in calls)
        yield Turn(user=turn.user, ground_truth=kept, restores=turn.restores)


def _row(task: Task, responses: Sequence[Sequence[str]]) -> dict[str, Any]:
    turns = []
    for turn, answers in zip(task.turns, responses, strict=True):
        row: dict[str, Any] = {"user": turn.user, "calls": [str(c) for c in turn.ground_truth]}
        if turn.restores:
            row["restores"] = list(turn.restores)
        row["answers"] = [printable(answer)[:ANSWER] for answer in answers]
        turns.append(row)
    return {"task": task.id, "verdict": None, "kind": task.note, "note": None, "turns": turns}


class _Dumper(yaml.SafeDumper):
    """Writes nothing where a person will write something."""


_Dumper.add_representer(
    type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", "")
)


def _written(rows: Sequence[Mapping[str, Any]]) -> str:
    text: str = yaml.dump(
        [dict(row) for row in rows], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=96
    )
    return text
