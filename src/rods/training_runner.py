"""The runner of a run: what all its rollouts have in common, whichever engine trains."""

from __future__ import annotations

from rods.config import Config
from rods.envs.base import Environment
from rods.envs.guard import guard
from rods.rollout.episode import EpisodeLimits
from rods.rollout.policy import Sampling
from rods.rollout.renderer import Renderer
from rods.rollout.runner import Runner


def training_runner(config: Config, env: Environment, renderer: Renderer) -> Runner:
    """Plays the episodes of a run, held-out ones too.

    The policy's calls are guarded; those of synthesis are our own.
    """
    tools, rollout = config.environment, config.rollout
    return Runner(
        guard(env, tools.limits, tools.bounds) if tools.guarded else env,
        renderer,
        EpisodeLimits(attempts=rollout.attempts),
        rollout.token_budget,
        sampling=Sampling(rollout.action_tokens, rollout.temperature),
    )
