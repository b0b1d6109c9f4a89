"""A kind of policy of a user: a stock model of `transformers`, and tasks as their file has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from rods.cache import Progress
from rods.config import Config
from rods.envs.load import load_environment
from rods.envs.task_file import read_task_file
from rods.policies.registry import LoadedPolicy, PolicySettings
from rods.policies.tasks import TaskSides


class StockSettings(PolicySettings):
    """Of one model."""

    rows: int = Field(8, ge=1, description="most episodes in one call of `generate`")


class StockKind:
    """Trains the model `grpo.qwen2`.

    Attributes:
        loaded: the checkpoint of each call of `load`.
    """

    settings: ClassVar[type[PolicySettings]] = StockSettings
    loaded: ClassVar[list[Path | None]] = []

    def tasks(self, config: Config, progress: Progress) -> TaskSides:
        env = load_environment(config.environment.name, config.environment.bounds)
        *train, validation, test = read_task_file(Path(config.environment.tasks or ""), env)
        return TaskSides(tuple(train), (validation,), (test,), env, {}, "A model without training.")

    def load(
        self, config: Config, tasks: TaskSides, checkpoint: Path | None, progress: Progress
    ) -> LoadedPolicy:
        from grpo import WORDS, ParityRenderer, qwen2
        from rods.policies.transformers import TransformersPolicy

        assert isinstance(config.policy, StockSettings)
        self.loaded.append(checkpoint)
        model = type(qwen2()).from_pretrained(checkpoint) if checkpoint else qwen2()
        policy = TransformersPolicy(model, WORDS.pad_id, config.policy.rows)
        return LoadedPolicy(ParityRenderer(), model, WORDS.to_transformers("<end>"), policy.seeded)


class UnmeasuredKind(StockKind):
    """Without held-out tasks."""

    def tasks(self, config: Config, progress: Progress) -> TaskSides:
        return replace(super().tasks(config, progress), validation=(), test=())
