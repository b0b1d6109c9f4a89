"""One task that another program plays, call by call.

The verdicts are those of `rods.rollout.episode`. A call is an attempt of its own, since other
programs bring calls one after the other; so a turn has more attempts than in a rollout here.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import RLock
from typing import Any

from rods.envs.base import Environment
from rods.envs.calls import CallError
from rods.envs.notation import read_objects
from rods.reward import GoldTrace, TraceError
from rods.rollout.episode import Action, Ending, Episode, EpisodeLimits
from rods.rollout.messages import Message
from rods.task import Task

LIMITS = EpisodeLimits(attempts=100)
OVER = "The conversation is over."
USER = "The user says: "


class Game:
    """An episode whose actions come from another program. Several threads may use it.

    Args:
        gold: the task's trace; an error: the game is lost before it begins.
        lock: held while the environment executes something.
    """

    def __init__(
        self,
        task: Task,
        env: Environment,
        gold: GoldTrace | TraceError,
        limits: EpisodeLimits = LIMITS,
        lock: RLock | None = None,
    ) -> None:
        self.task, self._lock = task, lock or RLock()
        self._tools = env.tools(task)
        with self._lock:
            if isinstance(gold, TraceError):
                self.episode = Episode.lost(task, env, str(gold))
            else:
                self.episode = Episode(task, env, gold, limits)

    @property
    def over(self) -> bool:
        """Whether no turn is left, or the episode was ended or lost."""
        return self.episode.ending is not None

    @property
    def turn(self) -> int:
        """Number of turns that have ended."""
        return self.episode.turn

    @property
    def reward(self) -> float | None:
        """The progress so far; None if the environment lost the episode."""
        lost = self.episode.ending is Ending.ENVIRONMENT_FAILURE
        return None if lost else self.episode.progress

    def call(self, name: str, arguments: Any) -> str:
        """Execute one call; returns the response, and what the user says if it ended the turn.

        Args:
            arguments: by name, or as JSON text. What cannot be read counts as a failed attempt.
        """
        try:
            calls = read_objects([{"name": name, "arguments": arguments}], self._tools)
        except CallError as error:
            return self._act(Action(malformed=str(error)))
        return self._act(Action(calls=calls))

    def answer(self, text: str = "") -> str:
        """End the turn with these words; returns what the user says next, `OVER` if nothing."""
        return self._act(Action(), text)

    def finish(self, *, answered: bool = True) -> float | None:
        """End the game; turns not reached fail. Returns the reward.

        Args:
            answered: the agent itself ended its turn, which is judged then; else that turn fails.
        """
        if not self.over:
            if answered:
                self.answer()
            with self._lock:
                self.episode.close()
        return self.reward

    def _act(self, action: Action, said: str = "") -> str:
        if self.over:
            return OVER
        with self._lock:
            seen = self.episode.act(action, said)
        return "\n\n".join(filter(None, [_shown(seen), OVER if self.over else ""]))


def _shown(messages: Sequence[Message]) -> str:
    """What an action brought, as one text."""
    said = [m for m in messages if m.role == "user" and not m.error]
    answers = [m.text for m in messages if m not in said]
    words = [m.announced for m in said]
    if answers:
        words = [f"{USER}{text}" for text in words]
    return "\n\n".join([*answers, *words])
