"""Our tasks as an OpenEnv environment, which OpenEnv's own server offers.

An action is a call, or an answer in words that ends the turn. The reward of a step is what the
progress has grown by it, so their sum is the progress.
"""

from __future__ import annotations

import random
import uuid
from typing import Any

from openenv.core.env_server import create_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, EnvironmentMetadata, Observation, State
from pydantic import Field

from rods import __version__
from rods.export.rows import first_messages
from rods.neighbours.game import Game
from rods.neighbours.tasks import Tasks
from rods.renderers.tools import function_schema

SPLIT = "train"
"""OpenEnv's name for all tasks that the server was given."""


class RodsAction(Action):
    """What the agent does."""

    tool: str = Field("", description="Name of the tool to call; empty to answer the user")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Arguments by name")
    text: str = Field("", description="What the agent says to the user, without a call")


class RodsObservation(Observation):
    """What the agent reads.

    Attributes:
        messages: new ones, in the form of OpenAI's chat API; all at the beginning.
        text: what the last action brought.
    """

    messages: list[dict[str, Any]] = Field(default_factory=list, description="First messages")
    text: str = Field("", description="The tool's response, or what the user says")
    tools: list[dict[str, Any]] = Field(default_factory=list, description="Tools on offer now")


class RodsState(State):
    """Where an episode stands."""

    task: str = ""
    turn: int = 0
    turns: int = 0
    progress: float = 0.0


class RodsEnvironment(Environment[RodsAction, RodsObservation, RodsState]):
    """One episode at a time; the sessions of a server share the tasks."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, tasks: Tasks) -> None:
        super().__init__()
        self._tasks, self._names = tasks, list(tasks.by_name)
        self._game: Game | None = None
        self._episode, self._steps = "", 0

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        task: str | None = None,
        split: str = SPLIT,
        index: int | None = None,
        **_: Any,
    ) -> RodsObservation:
        """Begin a task: by its name or its position, else one that the seed chooses."""
        self.close()
        if task is None:
            chosen = random.Random(seed).randrange(len(self._names)) if index is None else index
            task = self.get_task(split, chosen)["id"]
        self._game = self._tasks.begin(task)
        self._episode, self._steps = episode_id or uuid.uuid4().hex, 0
        return self._observation("", first_messages(self._game.task))

    def step(self, action: RodsAction, timeout_s: float | None = None, **_: Any) -> RodsObservation:
        """Call a tool, or answer."""
        if self._game is None:
            raise ValueError("reset comes first")
        self._steps += 1
        if action.tool:
            return self._observation(self._game.call(action.tool, action.arguments))
        return self._observation(self._game.answer(action.text))

    def close(self) -> None:
        """Give the episode up."""
        if self._game is not None:
            self._game.finish(answered=False)

    @property
    def state(self) -> RodsState:
        """Where the episode stands."""
        if self._game is None:
            return RodsState()
        return RodsState(
            episode_id=self._episode,
            step_count=self._steps,
            task=self._game.task.label,
            turn=self._game.turn,
            turns=len(self._game.task.turns),
            progress=self._game.episode.progress,
        )

    def get_metadata(self) -> EnvironmentMetadata:
        """For the server's page."""
        about = "Tool use in conversations of several turns, judged turn by turn."
        return EnvironmentMetadata(name="rods", description=about, version=__version__)

    def list_splits(self) -> list[str]:
        """OpenEnv's task API."""
        return [SPLIT]

    def list_tasks(self, split: str) -> list[dict[str, Any]]:
        """OpenEnv's task API."""
        return self.get_task_range(split)

    def num_tasks(self, split: str) -> int:
        """OpenEnv's task API."""
        return len(self._known(split))

    def get_task(self, split: str, index: int) -> dict[str, Any]:
        """OpenEnv's task API."""
        names = self._known(split)
        if not 0 <= index < len(names):
            raise IndexError(f"{index}: there are {len(names)} tasks")
        task = self._tasks.by_name[names[index]]
        return {"id": task.label, "index": index, "category": task.category}

    def get_task_range(
        self, split: str, start: int | None = None, stop: int | None = None
    ) -> list[dict[str, Any]]:
        """OpenEnv's task API."""
        return [self.get_task(split, i) for i in range(self.num_tasks(split))[start:stop]]

    def _known(self, split: str) -> list[str]:
        if split != SPLIT:
            raise ValueError(f"split {split!r}: there is only {SPLIT!r}")
        return self._names

    def _observation(
        self, text: str, messages: list[dict[str, Any]] | None = None
    ) -> RodsObservation:
        assert self._game is not None
        game = self._game
        return RodsObservation(
            done=game.over,
            reward=None if game.reward is None else game.gain(),
            text=text,
            messages=messages or [],
            tools=[] if game.over else [function_schema(tool) for tool in game.offered],
            metadata={"failure": game.episode.failure} if game.episode.failure else {},
        )


def app(tasks: Tasks, sessions: int = 64) -> Any:
    """The server's application, for uvicorn.

    Args:
        sessions: most episodes at once.
    """
    return create_app(
        lambda: RodsEnvironment(tasks),
        RodsAction,
        RodsObservation,
        env_name="rods",
        max_concurrent_envs=sessions,
        state_cls=RodsState,
    )
