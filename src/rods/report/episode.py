"""An example episode as a conversation: turn by turn, with verdict and ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rods.digest.search import EpisodeRow
from rods.html import cut
from rods.rollout.episode import Ending
from rods.rollout.messages import VERDICT
from rods.task import Task

MAX_TRANSCRIPT = 6_000  # characters of an episode in a report
MAX_TEXT = 2_000  # of a message of a task


class Message(NamedTuple):
    """A message: its role, its text as it is shown, and whether a part is left out."""

    role: str
    text: str
    cut: bool
    number: int


class Part(NamedTuple):
    """A turn of an episode.

    Attributes:
        verdict: "passed", or why the turn failed; "" if it was not judged or that is not stored.
        right: the calls of the ground truth, or None if the task has no such turn.
    """

    number: int
    messages: list[Message]
    verdict: str
    right: list[str] | None


class EpisodeView(NamedTuple):
    """An episode as pages show it.

    Attributes:
        progress: None if the environment lost the episode.
        left_out: how many of its messages are left out.
    """

    key: str
    step: int
    progress: float | None
    ending: str
    parts: list[Part]
    left_out: int

    @staticmethod
    def of(
        row: EpisodeRow,
        transcript: list[list[str]],
        task: Task | None,
        most: int = MAX_TRANSCRIPT,
        each: int = MAX_TRANSCRIPT,
    ) -> EpisodeView:
        """Read a stored transcript.

        Args:
            task: what was played, if it is known.
            most: characters that are shown in all.
            each: characters that are shown of a message.
        """
        shown, left_out = _bounded(transcript, most, each)
        parts = []
        for number, (messages, verdict) in enumerate(turns_of(shown)):
            turn = task.turns[number] if task and number < len(task.turns) else None
            right = None if turn is None else [*map(str, turn.ground_truth)]
            parts.append(Part(number + 1, messages, verdict, right))
        known = None if row.ending == Ending.ENVIRONMENT_FAILURE else row.progress
        return EpisodeView(row.key, row.step, known, row.ending, parts, left_out)


def _bounded(transcript: list[list[str]], most: int, each: int) -> tuple[list[Message], int]:
    """The first messages, and how many are left out."""
    shown, left = list[Message](), most
    for number, (role, text) in enumerate(transcript):
        if role == VERDICT:
            shown.append(Message(role, text[:MAX_TEXT], False, number))
        elif left > 0:
            limit = min(left, each)
            shown.append(Message(role, cut(text, limit), len(text) > limit, number))
            left -= min(len(text), limit)
    return shown, len(transcript) - len(shown)


def turns_of(messages: Iterable[Message]) -> Iterator[tuple[list[Message], str]]:
    """The messages of each turn with its verdict.

    A turn ends with its verdict. Where none is stored, it ends before the next message of the user,
    or before tools that come later.
    """
    every = [*messages]
    judged = any(message.role == VERDICT for message in every)
    some = list[Message]()
    for message in every:
        if message.role == VERDICT:
            yield some, message.text
            some = []
            continue
        if not judged and some and _begins(message, some):
            yield some, ""
            some = []
        some.append(message)
    if some:
        yield some, ""


def _begins(message: Message, before: list[Message]) -> bool:
    """Whether the message begins a turn, after those of the turn before."""
    if message.role == "user":
        return before[-1].role != "tools"  # which began the turn
    return message.role == "tools"
