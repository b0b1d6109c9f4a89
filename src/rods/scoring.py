"""Scores logged episodes (`rods score`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rods.envs.base import Environment
from rods.envs.calls import CallError, Refusal
from rods.envs.notation import parse_calls, read_objects
from rods.errors import UserError
from rods.plain_data import Author
from rods.reading import decode, parse_json
from rods.reward import Scored, TraceError, Traces, progress, score_many
from rods.rollout.episode import MAX_FAILURE, Ending
from rods.secret import shown
from rods.task import Call, Task, ToolSpec

BATCH = 64
UNREADABLE = Call.model_construct(name="", arguments={})


@dataclass
class Scorer:
    """Scores the lines of a file.

    A call that cannot be read counts as a call that failed. A line that is no episode is reported
    and left out; the others are scored. An episode that the environment lost has no score: its
    progress is None.

    Attributes:
        complain: is told of each line that is no episode; the message names line and field.
        refusals: calls that were stopped so far, by name.
        bad: lines that were no episode.
    """

    env: Environment
    tasks: dict[str, Task]
    complain: Callable[[str], None]
    refusals: Counter[str] = field(default_factory=Counter)
    bad: int = 0

    def __post_init__(self) -> None:
        self._traces = Traces(self.env)

    def score(self, path: Path) -> Iterator[dict[str, Any]]:
        """One result for each episode of the file, in its order.

        Raises:
            UserError: the file cannot be read.
        """
        try:
            with path.open("rb") as file:
                lines = (
                    (f"{path}: line {number}", line)
                    for number, line in enumerate(file, 1)
                    if line.strip()
                )
                while batch := list(islice(lines, BATCH)):
                    yield from self._batch([e for e in map(self._read, batch) if e])
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None

    def _batch(
        self, episodes: list[tuple[str, list[list[Call]], bool]]
    ) -> Iterator[dict[str, Any]]:
        traces = self._traces.visit(self.tasks[name] for name, *_ in episodes)
        traced = [
            (turns, self.tasks[name], traces[self.tasks[name].id]) for name, turns, _ in episodes
        ]
        jobs = [(task, turns, t) for turns, task, t in traced if not isinstance(t, TraceError)]
        scored = iter(score_many(jobs, self.env))
        for (name, _, readable), (_, _, trace) in zip(episodes, traced, strict=True):
            if isinstance(trace, TraceError):
                found = Scored([], Counter(), str(trace))
            else:
                found = next(scored)
            # A call without a name was refused when it was read, and counted as that.
            seen = {k: n for k, n in found.refusals.items() if k != Refusal.NOT_CALLS}
            self.refusals += Counter(seen)
            yield self._row(name, found, readable)

    def _row(self, name: str, found: Scored, readable: bool) -> dict[str, Any]:
        reward = progress(found.verdicts, len(self.tasks[name].turns))
        ending = Ending.ANSWERED if readable else Ending.FORMAT_FAILURES
        return {
            "task": name,
            "progress": None if found.lost else reward,
            "complete": None if found.lost else reward == 1.0,
            "turns": [{"state": v.state, "exec": v.exec, "empty": v.empty} for v in found.verdicts],
            "ending": (Ending.ENVIRONMENT_FAILURE if found.lost else ending).value,
            **({"failure": shown(found.lost, MAX_FAILURE)} if found.lost else {}),
        }

    def _read(self, place: tuple[str, bytes]) -> tuple[str, list[list[Call]], bool] | None:
        """Task, calls by turn, and whether all of them could be read."""
        where, line = place
        try:
            name, turns = _episode(line, self.tasks)
        except UserError as error:
            self.bad += 1
            self.complain(f"{where}: {error}")
            return None
        tools = self.env.tools(self.tasks[name])
        read = [[call for item in turn for call in self._calls(item, tools)] for turn in turns]
        return name, read, not any(call is UNREADABLE for turn in read for call in turn)

    def _calls(self, item: Any, tools: dict[str, ToolSpec]) -> tuple[Call, ...]:
        try:
            return (
                parse_calls(item, tools) if isinstance(item, str) else read_objects([item], tools)
            )
        except CallError as error:
            self.refusals[error.refusal.value] += 1
            return (UNREADABLE,)


def _episode(line: bytes, tasks: dict[str, Task]) -> tuple[str, list[list[Any]]]:
    row = parse_json(decode(line), Author.MODEL)
    if not isinstance(row, dict) or not isinstance(name := row.get("task"), str):
        raise UserError("task: no name of a task")
    if name not in tasks:
        raise UserError("task: no task of that name")
    turns = row.get("turns")
    if not isinstance(turns, list) or not all(
        isinstance(t, list) and all(isinstance(c, str | dict) for c in t) for t in turns
    ):
        raise UserError("turns: must be a list of turns, each a list of calls")
    return name, turns
