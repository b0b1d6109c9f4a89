"""One task that another program plays, call by call.

The verdicts are those of `rods.rollout.episode`. A call is an attempt of its own, since other
programs bring calls one after the other; so a turn has more attempts than in a rollout here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import RLock
from typing import Any

from rods.envs.base import Environment
from rods.envs.calls import CallError
from rods.envs.notation import read_objects
from rods.reward import GoldTrace, TraceError
from rods.rollout.episode import Action, Ending, Episode, EpisodeLimits
from rods.rollout.messages import Message
from rods.task import Task, ToolSpec

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
        self._paid = 0.0
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
    def offered(self) -> list[ToolSpec]:
        """The tools on offer in this turn."""
        return offered(self.task, self._tools, self.turn)

    @property
    def reward(self) -> float | None:
        """The progress so far; None if the environment lost the episode."""
        lost = self.episode.ending is Ending.ENVIRONMENT_FAILURE
        return None if lost else self.episode.progress

    def gain(self) -> float:
        """What the reward has grown since the last question; the sum is the reward."""
        before, self._paid = self._paid, self.episode.progress
        return self._paid - before

    def call(self, name: str, arguments: Any) -> str:
        """Execute one call; returns the response, and what the user says if it ended the turn.

        Args:
            arguments: by name, or as JSON text. What cannot be read counts as a failed attempt.
        """
        return self._shown(self.execute(name, arguments))

    def execute(self, name: str, arguments: Any) -> list[Message]:
        """`call`; returns the messages that it brings."""
        try:
            calls = read_objects([{"name": name, "arguments": arguments}], self._tools)
        except CallError as error:
            return self._act(Action(malformed=str(error)))
        return self._act(Action(calls=calls))

    def answer(self, text: str = "") -> str:
        """End the turn with these words; returns what the user says next, `OVER` if nothing."""
        return self._shown(self._act(Action(), text))

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

    def _act(self, action: Action, said: str = "") -> list[Message]:
        if self.over:
            return []
        with self._lock:
            return self.episode.act(action, said)

    def _shown(self, messages: Sequence[Message]) -> str:
        """What an action brought, as one text."""
        answer, words = response(messages), [m.announced for m in messages if spoken(m)]
        if answer:
            words = [f"{USER}{text}" for text in words]
        return "\n\n".join(filter(None, [answer, *words, OVER if self.over else ""]))


def response(messages: Sequence[Message]) -> str:
    """What of the messages is not the user's."""
    return "\n\n".join(m.text for m in messages if not spoken(m))


def spoken(message: Message) -> bool:
    """Whether the user says it."""
    return message.role == "user" and not message.error


def offered(task: Task, tools: Mapping[str, ToolSpec], turn: int) -> list[ToolSpec]:
    """Those of the task's tools that are on offer in a turn."""
    restored = {name for each in task.turns[: turn + 1] for name in each.restores}
    kept = set(task.withheld) - restored
    return [tool for name, tool in tools.items() if name not in kept]
