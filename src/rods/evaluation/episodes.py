"""Episodes as they are kept: a JSON line each, with all that a table and `rods score` need."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from rods.errors import UserError, first_problem
from rods.files.plain_data import Author
from rods.files.reading import decode, parse_json
from rods.reward import Verdict
from rods.rollout.agent import Seat
from rods.rollout.episode import Ending, Episode
from rods.task import Call, Frozen, Task


class Job(NamedTuple):
    """An episode to play: a task, and which of its runs this is, from 0."""

    task: Task
    run: int

    @property
    def key(self) -> tuple[str, int]:
        return self.task.label, self.run


class Failure(StrEnum):
    """Why the first turn that failed did so; if it was not judged, the ending says it."""

    NO_CALL = "no call"
    CALL = "call where none fits"
    STATE = "wrong state"
    RESPONSE = "missing response"
    BOTH = "wrong state and missing response"


class EpisodeRow(Frozen):
    """A kept episode.

    Attributes:
        task: the id that its author gave; `id` is the hash of its content.
        run: which play of the task this is, from 0.
        progress, complete: None if the environment lost the episode.
        cause: why the first turn that failed did so, or the ending; "" if none failed.
        failed_turn: index of that turn.
        failure: why the environment lost the episode, or why no tokens were left; or "".
        judged: number of turns with a verdict; the others failed.
        turns: the calls of each judged turn; those that could not be read are left out.
        calls: number of all calls, also in a turn that was not judged.
        actions, malformed, cut_off: counts of actions.
        shortened: requests of which the server has read fewer tokens than of the one before.
        refusals: counts of calls that were stopped, by kind.
        tokens_in: of all requests; the same history is counted each time.
        longest: tokens of the longest request with its answer.
        seconds: from the first message to the end.
        tools: names on offer at first.
        messages: the conversation as the agent saw it, in the form of OpenAI's chat API.
    """

    task: str
    run: int
    category: str
    id: str
    progress: float | None
    complete: bool | None
    ending: Ending
    cause: str
    failed_turn: int | None
    failure: str
    verdicts: list[dict[str, bool]]
    judged: int
    turns: list[list[dict[str, Any]]]
    calls: int
    actions: int
    malformed: int
    cut_off: int
    shortened: int
    refusals: dict[str, int]
    tokens_in: int
    tokens_out: int
    longest: int
    seconds: float
    tools: list[str] = Field(default_factory=list)
    messages: list[dict[str, Any]] = Field(default_factory=list)

    @classmethod
    def of(cls, job: Job, episode: Episode, seat: Seat, seconds: float) -> EpisodeRow:
        """The line of an ended episode."""
        assert episode.ending is not None
        lost = episode.ending is Ending.ENVIRONMENT_FAILURE
        verdicts, usage = episode.verdicts, seat.usage
        turn = _first_failed(verdicts, len(job.task.turns))
        return cls(
            task=job.task.label,
            run=job.run,
            category=job.task.category,
            id=job.task.id,
            progress=None if lost else episode.progress,
            complete=None if lost else episode.complete,
            ending=episode.ending,
            cause=_cause(verdicts, episode.calls, turn, episode.ending),
            failed_turn=turn,
            failure=episode.failure or usage.spent,
            verdicts=[{"state": v.state, "exec": v.exec, "empty": v.empty} for v in verdicts],
            judged=len(verdicts),
            turns=[[_plain(call) for call in calls] for calls in episode.calls[: len(verdicts)]],
            calls=sum(map(len, episode.calls)),
            actions=episode.rounds,
            malformed=episode.malformed,
            cut_off=usage.cut_off,
            shortened=usage.shortened,
            refusals=dict(episode.refusals),
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            longest=usage.longest,
            seconds=round(seconds, 3),
            tools=[tool.name for tool in episode.conversation.tools],
            messages=seat.messages(),
        )

    def line(self) -> str:
        """The row as a line of JSON in ASCII: a model may write half of a character."""
        return json.dumps(self.model_dump(mode="python"))

    @property
    def key(self) -> tuple[str, int]:
        return self.task, self.run


def read_rows(path: Path, *, messages: bool = False) -> Iterator[EpisodeRow]:
    """The whole rows of a file; a last line without an end was torn by an interruption.

    Args:
        messages: also the conversations and the calls, which take most of the memory.

    Raises:
        UserError: the file cannot be read, or a line is no kept episode; the message names it.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield _row(line, f"{path}: line {number}", messages)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _row(line: bytes, where: str, messages: bool) -> EpisodeRow:
    try:
        data = parse_json(decode(line), Author.MODEL)
        if isinstance(data, dict) and not messages:
            data |= {"messages": [], "tools": [], "turns": []}
        return EpisodeRow.model_validate(data)
    except ValidationError as error:
        problem = first_problem(error)
    except UserError as error:
        problem = str(error)
    raise UserError(f"{where}: no episode of an evaluation: {problem}")


def _first_failed(verdicts: Sequence[Verdict], turns: int) -> int | None:
    """Index of the first turn that failed or was not judged; None if all passed."""
    failed = (index for index, verdict in enumerate(verdicts) if not verdict.passed)
    return next(failed, None if len(verdicts) == turns else len(verdicts))


def _cause(
    verdicts: Sequence[Verdict], calls: Sequence[Sequence[Call]], turn: int | None, ending: Ending
) -> str:
    if turn is None:
        return ""
    if turn == len(verdicts) or ending is Ending.ENVIRONMENT_FAILURE:
        return ending.value
    verdict = verdicts[turn]
    if verdict.empty:
        return Failure.CALL.value
    if not calls[turn]:
        return Failure.NO_CALL.value
    if verdict.state or verdict.exec:
        return (Failure.RESPONSE if verdict.state else Failure.STATE).value
    return Failure.BOTH.value


def _plain(call: Call) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments}
