"""Our tasks as a taskset of verifiers v1 (`vf-eval rods-tasks`).

The tools are a server of MCP, one for all rollouts. It keeps a game for each rollout, and notes the
calls in the rollout's state. The environment speaks for the user. The reward is that of the same
calls, executed once more: a task gives the same results each time.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import verifiers.v1 as vf
from mcp.types import CallToolResult, TextContent, Tool
from pydantic import BaseModel, Field, JsonValue

from rods.export.rows import SYSTEM
from rods.neighbours.game import OVER, Game, offered, response
from rods.neighbours.tasks import Tasks
from rods.renderers.tools import function_schema
from rods.rollout.messages import Message
from rods.task import Task

GAMES = 256  # that a server keeps open; one that was closed is played again from its calls
REFUSED = "no tool fits this request"

tasks_of = cache(Tasks)


class Made(BaseModel):
    """A call of the agent."""

    name: str
    arguments: dict[str, JsonValue]


class RodsState(vf.State):
    """What the host and the tool server share about a rollout.

    Attributes:
        rollout: its id.
        turn: number of turns that the agent has ended.
        calls: of each turn so far.
    """

    rollout: str = ""
    task: str = ""
    turn: int = 0
    calls: list[list[Made]] = Field(default_factory=list)


class RodsToolsConfig(vf.SharedToolsetConfig):
    """Where the server finds the tools and tasks."""

    environment: str = "bfcl"
    file: str | None = None
    folder: str = "."


class RodsToolset(vf.Toolset[RodsToolsConfig, RodsState]):
    """The tools of all tasks; each rollout sees those on offer in its turn."""

    TOOL_PREFIX = None

    async def setup(self) -> None:
        os.chdir(self.config.folder)
        sys.path.append(self.config.folder)
        self._tasks = tasks_of(self.config.environment, self.config.file)
        self._games: OrderedDict[str, tuple[Game, list[list[Made]]]] = OrderedDict()

    def register(self, mcp: Any) -> None:
        mcp.list_tools = self._with_state(self.list_tools)
        mcp.call_tool = self._with_state(self.call_tool)

    async def list_tools(self) -> list[Tool]:
        """The tools on offer now."""
        task = self._tasks.by_name[self.state.task]
        found = map(function_schema, offered(task, self._tasks.inner.tools(task), self.state.turn))
        return [
            Tool(name=f["name"], description=f["description"] or None, input_schema=f["parameters"])
            for f in (each["function"] for each in found)
        ]

    async def call_tool(self, name: str, arguments: dict[str, Any], _: Any = None) -> Any:
        """Execute a call and note it."""
        state = self.state
        text = await asyncio.to_thread(self._call, state, name, arguments)
        return CallToolResult(content=[TextContent(type="text", text=text)])

    def _game(self, state: RodsState) -> tuple[Game, list[list[Made]]]:
        if state.rollout not in self._games:
            game = self._tasks.begin(state.task)
            _replay(game, state)
            self._games[state.rollout] = (game, state.calls)
        self._games.move_to_end(state.rollout)
        while len(self._games) > GAMES:
            self._games.popitem(last=False)[1][0].finish(answered=False)
        return self._games[state.rollout]

    def _call(self, state: RodsState, name: str, arguments: dict[str, Any]) -> str:
        game, calls = self._game(state)
        while len(calls) <= state.turn:
            calls.append([])
        while game.turn < state.turn and not game.over:
            game.answer()
        calls[state.turn].append(Made(name=name, arguments=arguments))
        state.calls = calls
        if game.over:
            return OVER
        # A call ends a turn in which none is right; the user speaks when the agent has answered.
        return REFUSED if game.turn > state.turn else response(game.execute(name, arguments))


class RodsData(vf.TaskData):
    """A task by name, and what its user says after the first turn."""

    task: str
    environment: str
    file: str | None
    turns: list[str]


class RodsTask(vf.Task[RodsData, RodsState]):
    """One of our tasks."""

    async def setup(self, trace: Any, runtime: Any) -> None:
        trace.state.rollout, trace.state.task = trace.id, self.data.task

    @vf.reward
    async def progress(self, trace: Any) -> float:
        """The share of turns that passed."""
        return await asyncio.to_thread(self._progress, trace.state)

    def _progress(self, state: RodsState) -> float:
        game = tasks_of(self.data.environment, self.data.file).begin(self.data.task)
        _replay(game, state)
        reward = game.finish(answered=False)
        if reward is None:
            raise RuntimeError(game.episode.failure)
        return reward


class RodsConfig(vf.TasksetConfig):
    """Which tasks: `environment` as `--env` names it, `file` as `--tasks` does."""

    environment: str = "bfcl"
    file: Path | None = None
    tools: RodsToolsConfig = RodsToolsConfig()


class RodsTaskset(vf.Taskset[RodsTask, RodsConfig]):
    """All tasks of a file."""

    @classmethod
    def toolsets(cls, config: RodsConfig) -> list[vf.Toolset]:
        where = {"environment": config.environment, "file": _path(config), "folder": os.getcwd()}
        return [RodsToolset(config.tools.model_copy(update=where))]

    def load(self) -> Iterator[RodsTask]:
        where = {"environment": self.config.environment, "file": _path(self.config)}
        tasks = tasks_of(**where)
        for name, task in tasks.by_name.items():
            first, *later = _said(task, tasks)
            data = RodsData(
                id=task.id,
                name=name,
                prompt=first,
                system_prompt=task.system or SYSTEM,
                task=name,
                turns=later,
                **where,
            )
            yield RodsTask(data, self.config.task)


class RodsEnvConfig(vf.EnvConfig):
    """The one agent. It has no tools but the task's, and runs nothing, so it needs no sandbox."""

    agent: vf.AgentConfig = vf.AgentConfig(harness={"id": "null"}, runtime={"type": "subprocess"})


class RodsEnv(vf.Env[RodsEnvConfig]):
    """The user's side of the conversation."""

    async def run(self, task: Any, agents: Any) -> None:
        async with agents.agent.interaction(task) as interaction:
            segment = await interaction.turn()
            for said in [*task.data.turns, None]:
                if segment.terminated:
                    break
                interaction.trace.state.turn += 1
                if said is not None:
                    segment = await interaction.turn(said)


def _replay(game: Game, state: RodsState) -> None:
    """Play what the state notes: all calls, and the end of each turn that the agent ended."""
    for number in range(max(state.turn, len(state.calls))):
        for made in state.calls[number] if number < len(state.calls) else ():
            if game.turn == number:
                game.execute(made.name, made.arguments)
        if number < state.turn and game.turn == number and not game.over:
            game.answer()


def _path(config: RodsConfig) -> str | None:
    return None if config.file is None else str(config.file.absolute())


def _said(task: Task, tasks: Tasks) -> list[str]:
    """What the user says in each turn, with the names of the tools that it restores."""
    tools = tasks.inner.tools(task)
    return [
        Message("user", turn.user, tools=tuple(tools[name] for name in turn.restores)).announced
        for turn in task.turns
    ]


if __name__ == "__main__":
    RodsToolset.run()
