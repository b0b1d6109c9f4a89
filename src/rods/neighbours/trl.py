"""Our tasks for TRL's `GRPOTrainer(environment_factory=...)`.

TRL reads the tools off the methods of a class, so there is a class for each set of tools that the
tasks use; the column `environment` of a row names it. A rollout ends with the first answer without
a call. So in tasks of several turns the tool `answer_user` ends a turn.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rods.errors import UserError
from rods.neighbours.game import Game
from rods.neighbours.signature import method_of
from rods.neighbours.tasks import ANSWER, Tasks, prompt
from rods.task import Task, ToolSpec

RESERVED = ("reset", "get_reward", ANSWER)
ANSWER_TOOL = ToolSpec(
    name=ANSWER,
    owner="",
    description="Answer the user, end the turn, and get what the user says next.",
    parameters={"text": {"type": "string", "description": "What you say to the user."}},
    required=("text",),
)


class TrlTasks:
    """The tasks of a file as TRL takes them.

    Tasks that withhold tools are left out: TRL shows the tools once, at the beginning.

    Args:
        environment: as `--env` names it.
        file: as `--tasks` names it; None: the training tasks of the benchmark.

    Attributes:
        rows: the data set: the columns `prompt`, `task` and `environment`.
        factories: for the trainer's `environment_factory`.
        left_out: names of the tasks that are left out.

    Raises:
        UserError: see `Tasks`; or a tool has a name that TRL reads otherwise.
    """

    def __init__(self, environment: str = "bfcl", file: str | Path | None = None) -> None:
        self.tasks = Tasks(environment, file)
        found = self.tasks.fixed()
        self.left_out = [n for n, task in self.tasks.by_name.items() if task.withheld]
        self.rows = [
            {"prompt": prompt(task), "task": task.label, "environment": _group(task)}
            for task in found
        ]
        groups: dict[str, list[Task]] = {}
        for task in found:
            groups.setdefault(_group(task), []).append(task)
        self.factories: dict[str, Callable[[], Player]] = {
            name: _player(name, group, self.tasks) for name, group in groups.items()
        }


class Player:
    """One rollout at a time; its methods that are not named in `RESERVED` are the tools."""

    _tasks: Tasks
    _game: Game | None = None

    def reset(self, task: str, **_: Any) -> None:
        """Begin the task of this name."""
        if self._game is not None:
            self._game.finish(answered=False)
        self._game = self._tasks.begin(task)

    def get_reward(self) -> float | None:
        """The progress; None if the environment lost the rollout."""
        assert self._game is not None, "reset comes first"
        return self._game.finish()

    def _call(self, name: str, arguments: dict[str, Any]) -> str:
        assert self._game is not None, "reset comes first"
        if name == ANSWER:
            return self._game.answer(str(arguments.get("text", "")))
        return self._game.call(name, arguments)


def _group(task: Task) -> str:
    """The tools that the task's class has."""
    several = f"+{ANSWER}" if len(task.turns) > 1 else ""
    return "+".join(task.classes) + several


def _player(name: str, group: list[Task], tasks: Tasks) -> type[Player]:
    tools = list(tasks.inner.tools(group[0]).values())
    for tool in tools:
        if tool.name in RESERVED or tool.name.startswith("_"):
            raise UserError(f"tool {tool.name!r}: TRL cannot show a tool of that name")
    if len(group[0].turns) > 1:
        tools.append(ANSWER_TOOL)
    methods = {tool.name: method_of(tool, Player._call) for tool in tools}
    return type(name, (Player,), {**methods, "_tasks": tasks})
