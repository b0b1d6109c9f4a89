"""Scores logged calls, and files of logged episodes (`rods score`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from rods.envs.base import Environment, Outcome, Work
from rods.envs.calls import CallError, Refusal
from rods.envs.notation import attempts_call, parse_calls, read_objects
from rods.errors import UserError, shown
from rods.files.plain_data import Author
from rods.files.reading import decode, parse_json
from rods.reward import GoldTrace, TraceError, Traces, Verdict, gold_trace, judge_turn, progress
from rods.rollout.episode import MAX_FAILURE, Ending
from rods.task import Call, Task, ToolSpec

BATCH = 64  # episodes scored together
UNREAD = (Refusal.NOT_CALLS, Refusal.TEXT, Refusal.DEPTH)  # why prose is not read as calls
UNREADABLE = Call.model_construct(name="", arguments={})


class Scored(NamedTuple):
    """The verdicts of a logged episode.

    Attributes:
        refusals: counts of calls that were stopped, by name.
        lost: why the session was lost, or ""; the turns from there on failed.
    """

    verdicts: list[Verdict]
    refusals: Counter[str]
    lost: str = ""


def score(
    task: Task,
    env: Environment,
    turns: Sequence[Sequence[Call]],
    gold: GoldTrace | None = None,
) -> list[Verdict]:
    """Verdicts for logged calls, one sequence for each turn; a missing turn has no calls.

    Args:
        gold: the task's trace, if it is known.

    Raises:
        UserError: see `gold_trace`.
    """
    return score_many([(task, turns, gold or gold_trace(task, env))], env)[0].verdicts


def score_many(
    episodes: Sequence[tuple[Task, Sequence[Sequence[Call]], GoldTrace]], env: Environment
) -> list[Scored]:
    """`score` for many episodes, executed in one batch."""
    sessions = [env.open(task) for task, _, _ in episodes]
    steps = [
        Work(session, turns[index], gold.states[index])
        for session, (task, turns, gold) in zip(sessions, episodes, strict=True)
        for index in range(len(task.turns))
        if _executed(task, turns, index)
    ]
    outcomes = iter(env.execute(steps))
    scored = [_judge(task, turns, gold, outcomes) for task, turns, gold in episodes]
    for session in sessions:
        session.close()
    return scored


@dataclass
class Scorer:
    """Scores the lines of a file.

    A call that cannot be read counts as a failed call; text that does not attempt one counts as no
    call. docs/reward.md has a table of both. A line that is no episode is reported and left out. An
    episode that the environment lost has no score: its progress is None.

    Attributes:
        complain: called with a message for each line that is no episode; it names line and field.
        refusals: counts of calls that were stopped so far, by name.
        bad: number of lines that were no episode.
        prose: number of turns with text and no call.
    """

    env: Environment
    tasks: dict[str, Task]
    complain: Callable[[str], None]
    refusals: Counter[str] = field(default_factory=Counter)
    bad: int = 0
    prose: int = 0

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

    def _batch(self, episodes: Sequence[_Logged]) -> Iterator[dict[str, Any]]:
        traces = self._traces.visit(each.task for each in episodes)
        traced = [(each, traces[each.task.id]) for each in episodes]
        jobs = [(e.task, e.turns, t) for e, t in traced if not isinstance(t, TraceError)]
        scored = iter(score_many(jobs, self.env))
        for each, trace in traced:
            if isinstance(trace, TraceError):
                found = Scored([], Counter(), str(trace))
            else:
                found = next(scored)
                for index in range(each.judged, len(found.verdicts)):
                    found.verdicts[index] = replace(found.verdicts[index], state=False, exec=False)
            # A call without a name was counted when it could not be read.
            seen = {k: n for k, n in found.refusals.items() if k != Refusal.NOT_CALLS}
            self.refusals += Counter(seen)
            yield self._row(each, found)

    def _row(self, logged: _Logged, found: Scored) -> dict[str, Any]:
        reward = progress(found.verdicts, len(logged.task.turns))
        ending = Ending.ANSWERED if logged.readable else Ending.FORMAT_FAILURES
        return {
            "task": logged.task.label,
            "progress": None if found.lost else reward,
            "complete": None if found.lost else reward == 1.0,
            "turns": [{"state": v.state, "exec": v.exec, "empty": v.empty} for v in found.verdicts],
            "ending": (Ending.ENVIRONMENT_FAILURE if found.lost else ending).value,
            **({"failure": shown(found.lost, MAX_FAILURE)} if found.lost else {}),
        }

    def _read(self, place: tuple[str, bytes]) -> _Logged | None:
        where, line = place
        try:
            task, turns, judged = _episode(line, self.tasks)
        except UserError as error:
            self.bad += 1
            self.complain(f"{where}: {error}")
            return None
        tools = self.env.tools(task)
        read = [self._turn(turn, tools) for turn in turns]
        readable = not any(call is UNREADABLE for turn in read for call in turn)
        return _Logged(task, read, readable, judged)

    def _turn(self, items: list[Any], tools: dict[str, ToolSpec]) -> list[Call]:
        read = [self._calls(item, tools) for item in items]
        calls = [call for found in read if found is not None for call in found]
        self.prose += not calls and None in read
        return calls

    def _calls(self, item: Any, tools: dict[str, ToolSpec]) -> tuple[Call, ...] | None:
        """None for prose."""
        try:
            return (
                parse_calls(item, tools) if isinstance(item, str) else read_objects([item], tools)
            )
        except CallError as error:
            if error.refusal in UNREAD and isinstance(item, str) and not attempts_call(item, tools):
                return None if item.strip() else ()
            self.refusals[error.refusal.value] += 1
            return (UNREADABLE,)


class _Logged(NamedTuple):
    """The calls of an episode by turn.

    Attributes:
        readable: whether all of them could be read.
        judged: number of turns that the episode reached the end of; the others failed.
    """

    task: Task
    turns: list[list[Call]]
    readable: bool
    judged: int


def _episode(line: bytes, tasks: dict[str, Task]) -> tuple[Task, list[list[Any]], int]:
    row = parse_json(decode(line), Author.MODEL)
    if not isinstance(row, dict):
        raise UserError("task: no name of a task")
    official = "task" not in row and "result" in row
    key, content = ("id", "result") if official else ("task", "turns")
    if not isinstance(name := row.get(key), str):
        raise UserError(f"{key}: no name of a task")
    if name not in tasks:
        raise UserError(f"{key}: no task of that name")
    turns = row.get(content)
    if not isinstance(turns, list) or not all(
        isinstance(turn, list) and all(_is_step(step, official) for step in turn) for turn in turns
    ):
        raise UserError(f"{content}: must be a list of turns, each a list of calls")
    judged = row.get("judged", most := len(tasks[name].turns))
    if type(judged) is not int or not 0 <= judged <= most:
        raise UserError(f"judged: must be a number of turns, at most {most}")
    return tasks[name], [[i for step in turn for i in _items(step)] for turn in turns], judged


def _is_step(step: Any, official: bool) -> bool:
    """In the benchmark's result files a list may hold texts, and a step may be null."""
    if isinstance(step, list):
        return all(
            isinstance(item, dict) or (official and (isinstance(item, str) or item == []))
            for item in step
        )
    return isinstance(step, str | dict) or (official and step is None)


def _items(step: Any) -> list[Any]:
    return [item for item in (step if isinstance(step, list) else [step]) if item not in (None, [])]


def _executed(task: Task, turns: Sequence[Sequence[Call]], index: int) -> bool:
    """Whether a turn's calls are executed; in a turn without ground truth they are not."""
    return index < len(turns) and bool(turns[index]) and bool(task.turns[index].ground_truth)


def _judge(
    task: Task, turns: Sequence[Sequence[Call]], gold: GoldTrace, outcomes: Iterator[Outcome]
) -> Scored:
    responses: list[str] = []
    scored = Scored([], Counter())
    for index in range(len(task.turns)):
        called, matches = index < len(turns) and bool(turns[index]), None
        if _executed(task, turns, index):
            outcome = next(outcomes)
            responses += [seen.text for seen in outcome.observations]
            scored.refusals.update(seen.refused for seen in outcome.observations if seen.refused)
            matches = outcome.matches
            scored = scored._replace(lost=scored.lost or outcome.lost)
        scored.verdicts.append(judge_turn(gold, index, responses, called, matches))
    return scored
