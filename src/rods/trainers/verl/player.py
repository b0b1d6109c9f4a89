"""Plays episodes in a process that neither has the loop nor the weights.

The environment, its guard and the renderer are opened once in a process, and all episodes of the
process share them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from rods.config import Config
from rods.envs.hints import Hinter
from rods.envs.load import load_environment
from rods.errors import UserError
from rods.policies.causal_model import load_writer
from rods.policies.model import settings_of
from rods.rollout.policy import Generation, Policy, Sampling
from rods.rollout.rollout import Rollout
from rods.trainers.verl.row import Order
from rods.training_runner import training_runner


class Answer(NamedTuple):
    """What a server generated.

    Attributes:
        logprobs: of the ids; None if the server does not tell them.
        version: of the weights, in training steps; None if the server does not tell it.
    """

    ids: Sequence[int]
    logprobs: Sequence[float] | None
    version: int | None


Ask = Callable[[str, list[int], dict[str, Any]], Awaitable[Answer]]
"""Generates: called with the name of the episode, the ids so far, and sampling parameters."""


class ServerPolicy:
    """Continues one episode by a server that takes token ids.

    Args:
        name: of the episode; its requests go to the same server, which may keep their prefix.
        fixed: sampling parameters that all requests have.
        seeds: name of the parameter for the random seed of a request; None: the server draws.
    """

    def __init__(
        self, ask: Ask, name: str, fixed: dict[str, Any], seeds: str | None = "seed"
    ) -> None:
        self._ask, self._name, self._fixed, self._seeds = ask, name, fixed, seeds

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        """The next action.

        Raises:
            UserError: the server tells no log-probabilities, or generated nothing.
        """
        parameters = {
            **self._fixed,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "stop_token_ids": list(sampling.stop_ids),
            "logprobs": True,
        }
        if self._seeds:
            parameters[self._seeds] = request_seed(self._name, sampling.episode, len(ids))
        made = await self._ask(f"{self._name}-{sampling.episode}", list(ids), parameters)
        if made.logprobs is None:
            raise UserError("the rollout server tells no log-probabilities, which RODS needs")
        if not made.ids:
            raise UserError("the rollout server generated no token: was the request aborted?")
        return Generation(list(made.ids), list(made.logprobs), made.version or 0)


def request_seed(name: str, episode: int, tokens: int) -> int:
    """A random seed below 2^31 that depends on the episode and on the tokens so far."""
    text = f"{name} {episode} {tokens}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


class Player:
    """The environment and the renderer of this process."""

    def __init__(self, config: Config) -> None:
        tools = config.environment
        env = load_environment(tools.name, tools.bounds)
        _, renderer = load_writer(settings_of(config))
        self.runner = training_runner(config, env, renderer)
        self._hinter = Hinter()

    async def play(self, order: Order, policy: Policy) -> Rollout:
        """One episode.

        All episodes that are played at the same time are of one step, and so of one stage.
        """
        self.runner.hinter = self._hinter if order.hints else None
        (rollout,) = await self.runner.play([order.task], policy)
        return rollout


@lru_cache(1)
def player_of(config: str) -> Player:
    """The player of this process.

    Args:
        config: the run's configuration as JSON.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return Player(Config.model_validate_json(config))
