"""The kind of policy "micro": a small model trained from scratch, and tasks in its words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from rods.policies.registry import LoadedPolicy, PolicySettings

if TYPE_CHECKING:  # the configuration imports this module for the settings alone
    from rods.cache import Progress
    from rods.config import Config
    from rods.policies.tasks import TaskSides


class MicroSettings(PolicySettings):
    """Size of the model and how it is pretrained."""

    width: int = Field(112, ge=8, description="of the model, a multiple of twice the heads")
    layers: int = Field(2, ge=1, description="of the model")
    heads: int = Field(4, ge=1, description="of each layer's attention")
    indices: int = Field(200, ge=8, le=200, description="base indices of the benchmark to use")
    longer: float = Field(
        0.3, ge=0, le=1, description="share of dialogues of up to 3 turns of 3 calls"
    )
    dialogues: int = Field(30_000, ge=100, description="short dialogues made for pretraining")
    tokens: int = Field(3_200_000, ge=1_000, description="training tokens in all")
    batch_tokens: int = Field(2_048, ge=64, description="tokens of one update in pretraining")
    learning_rate: float = Field(4e-3, gt=0, description="of the pretraining")
    seed: int = Field(0, description="random seed of the pretraining, apart from the run's")

    @model_validator(mode="after")
    def _divisible(self) -> MicroSettings:
        if self.width % (2 * self.heads):
            raise ValueError("policy.width must be a multiple of twice policy.heads")
        return self


def settings_of(config: Config) -> MicroSettings:
    """The policy's settings in a configuration that names this kind."""
    assert isinstance(config.policy, MicroSettings)
    return config.policy


class MicroKind:
    """Tasks of the benchmark or of the user's own tools; the weights are pretrained once."""

    settings: ClassVar[type[PolicySettings]] = MicroSettings

    def tasks(self, config: Config, progress: Progress) -> TaskSides:
        """The tasks that fit the policy, in the words of its tokenizer.

        Raises:
            UserError: the cache cannot be written, the run's own tools or tasks are unusable, or
                no task has a stage's category.
        """
        from rods.micro import benchmark, own

        if config.environment.tasks is None:
            return benchmark.prepare_tasks(config, progress)
        return own.prepare_tasks(config, progress)

    def load(
        self, config: Config, tasks: TaskSides, checkpoint: Path | None, progress: Progress
    ) -> LoadedPolicy:
        """Load the weights; pretrain them first where they neither ship nor are cached.

        Raises:
            UserError: the cache cannot be written.
        """
        from rods.micro import benchmark, own
        from rods.micro.policy import load_policy
        from rods.micro.tasks import MicroTasks

        assert isinstance(tasks, MicroTasks)
        weights = checkpoint
        if weights is None and config.environment.tasks is None:
            weights = benchmark.base_weights(config, tasks, progress)
        elif weights is None:
            weights = own.base_weights(config, tasks, progress)
        return load_policy(weights, tasks.renderer, config)
