"""The tasks that another program plays."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from threading import RLock

from rods.envs.base import ApartEnvironment, Environment
from rods.envs.guard import guard
from rods.errors import UserError
from rods.evaluation.selection import select
from rods.export.rows import first_messages
from rods.neighbours.game import LIMITS, Game
from rods.reward import Traces
from rods.rollout.episode import EpisodeLimits
from rods.task import Task

ANSWER = "answer_user"
"""The tool that ends a turn, for programs whose conversation ends with the first plain answer."""
ANSWERING = (
    f" End each turn by a call of {ANSWER}: it brings what the user says next. Text without a call"
    " ends the conversation."
)


class Arena:
    """An environment in which games are played, also by several threads at once.

    Args:
        env: the environment in this process, used only for its tools.
    """

    def __init__(self, env: Environment, limits: EpisodeLimits = LIMITS) -> None:
        self.inner, self.limits = env, limits
        self._lock = RLock()

    @cached_property
    def env(self) -> ApartEnvironment:
        """The environment, whose calls run in other processes."""
        return guard(self.inner)

    @cached_property
    def _traces(self) -> Traces:
        return Traces(self.env)

    def play(self, task: Task) -> Game:
        """A game of this task."""
        with self._lock:
            trace = self._traces.visit([task])[task.id]
        return Game(task, self.env, trace, self.limits, self._lock)


class Tasks(Arena):
    """An environment and its tasks by name.

    Args:
        environment: as `--env` names it.
        file: as `--tasks` names it; None: the benchmark's own tasks.
        split: the side of the benchmark, if there is no file.

    Raises:
        UserError: there is no such environment or file, or a task is unusable.
    """

    def __init__(
        self,
        environment: str = "bfcl",
        file: str | Path | None = None,
        *,
        split: str = "train",
        limits: EpisodeLimits = LIMITS,
    ) -> None:
        path = None if file is None else Path(file)
        chosen = select(environment, path, split if file is None else None, (), None)
        super().__init__(chosen.env, limits)
        self.by_name = {task.label: task for task in chosen.tasks}

    def begin(self, name: str) -> Game:
        """A game of the task of this name.

        Raises:
            UserError: there is no such task.
        """
        if name not in self.by_name:
            raise UserError(f"task {name!r}: no such task")
        return self.play(self.by_name[name])

    def fixed(self) -> list[Task]:
        """The tasks whose tools are the same in all turns.

        Raises:
            UserError: there are none.
        """
        found = [task for task in self.by_name.values() if not task.withheld]
        if not found:
            raise UserError("all tasks withhold tools, and this program shows tools only once")
        return found


def prompt(task: Task) -> list[dict[str, str]]:
    """The first messages of a task whose turns are ended by `ANSWER`, if it has several."""
    messages = first_messages(task)
    if len(task.turns) > 1:
        messages[0] = {**messages[0], "content": messages[0]["content"] + ANSWERING}
    return messages
