"""A kind of policy for TRL: a model that is trained, and writes what the script says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from script import Script

from rods.config import Config
from rods.policies.model import ModelKind
from rods.policies.registry import LoadedPolicy
from rods.policies.tasks import TaskSides
from rods.rollout.policy import Generation, Sampling

FOLDER = Path("run")
"""Of the run, in the current folder: a kind is not told it."""


class Said:
    """The script, for all episodes that are played together.

    Args:
        name: of an episode with this number.
    """

    def __init__(self, script: Script, name: Any) -> None:
        self._script, self._name = script, name

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        made = self._script.action(self._name(sampling.episode), list(ids))
        made = made[: sampling.max_tokens]
        return Generation(made, [0.0] * len(made))


class ScriptedKind(ModelKind):
    """The model of the settings, with the script's actions."""

    def load(
        self, config: Config, tasks: TaskSides, checkpoint: Path | None, progress: Any
    ) -> LoadedPolicy:
        policy = super().load(config, tasks, checkpoint, progress)
        script, size = Script(policy.tokenizer, FOLDER), config.rollout.group_size
        training = (
            config.seed * 1_000_003 + config.steps
        )  # random seeds above measure held-out tasks

        def seeded(seed: int, updates: int) -> Said:
            def name(episode: int) -> str:
                if seed > training:
                    return f"held-out-{seed}"
                return f"{config.seed}-{updates + 1}-{episode // size}-{episode % size}-0"

            return Said(script, name)

        return replace(policy, seeded=seeded)
