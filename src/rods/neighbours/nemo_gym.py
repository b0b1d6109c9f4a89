"""Our tasks in NeMo Gym: a resources server for its gymnasium agent.

A row of `rods export --format nemo-gym` holds its whole task. The reward of a step is what the
progress has grown by it, and the agent adds them up. So a rollout that the agent cuts off gets what
its ended turns are worth.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from nemo_gym.base_resources_server import BaseResourcesServerConfig
from pydantic import PrivateAttr
from resources_servers.gymnasium import GymnasiumServer, extract_text

from rods.envs.load import load_environment
from rods.neighbours.game import Game, response, spoken
from rods.neighbours.tasks import Arena
from rods.task import Task

GAMES = 1024  # that are kept open, since the agent does not say that it gives one up
Step = tuple[str | None, float, bool, bool, dict[str, Any]]


class RodsServerConfig(BaseResourcesServerConfig):
    """`environment` as `--env` names it."""

    environment: str = "bfcl"


class RodsServer(GymnasiumServer):
    """A game for each session."""

    config: RodsServerConfig
    _arena: Arena = PrivateAttr()
    _games: OrderedDict[str, Game] = PrivateAttr(default_factory=OrderedDict)

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        self._arena = Arena(load_environment(self.config.environment))

    async def reset(self, metadata: dict[str, Any], session_id: str | None = None) -> Any:
        """Begin the task of the row."""
        task = Task.model_validate_json(metadata["task"])
        self._games[str(session_id)] = await asyncio.to_thread(self._arena.play, task)
        while len(self._games) > GAMES:
            self._games.popitem(last=False)[1].finish(answered=False)
        return None, {}

    async def step(
        self, action: Any, metadata: dict[str, Any], session_id: str | None = None
    ) -> Step:
        """Execute the calls of a response, or end the turn with its words."""
        return await asyncio.to_thread(_step, self._games[str(session_id)], action)

    async def close_session(self, session_id: str | None) -> None:
        """Give the game up."""
        if game := self._games.pop(str(session_id), None):
            await asyncio.to_thread(game.finish, answered=False)


def _step(game: Game, action: Any) -> Step:
    calls = [item for item in action.output if item.type == "function_call"]
    outputs, said = [], []
    for call in calls:
        seen = game.execute(call.name, call.arguments)
        outputs.append({"call_id": call.call_id, "output": response(seen)})
        said += [message.announced for message in seen if spoken(message)]
    if not calls and not action.incomplete_details:
        said.append(game.answer(extract_text(action)))
    info = {"tool_outputs": outputs, "turn": game.turn, "failure": game.episode.failure}
    lost = game.reward is None
    return "\n\n".join(said) or None, game.gain(), game.over and not lost, lost, info
