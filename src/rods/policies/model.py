"""The kind of policy "model": any causal language model of `transformers`, with LoRA or whole.

Its tasks are the benchmark's in their own words, or the user's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from rods.files.reading import Setting
from rods.policies.registry import LoadedPolicy, PolicySettings
from rods.renderers.settings import RendererSettings

if TYPE_CHECKING:  # the configuration imports this module for the settings alone
    from rods.cache import Progress
    from rods.config import Config
    from rods.policies.tasks import TaskSides

ALL_LINEAR = "all-linear"
Generator = Literal["transformers", "trl", "trl_continuous", "vllm_colocate", "vllm_server"]


class LoraSettings(Setting):
    """Adapters that are trained while the model's own weights are frozen."""

    rank: int = Field(16, ge=1, description="of the adapters' matrices")
    alpha: int = Field(32, ge=1, description="the adapters' output is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the adapters' input in training")
    targets: tuple[str, ...] = Field(
        (ALL_LINEAR,), min_length=1, description="names of linear layers, or all-linear"
    )


class VllmSettings(Setting):
    """TRL's connection to vLLM, or its engine in this process."""

    url: str = Field("http://localhost:8000", description="address of the server, for vllm_server")
    group_port: int = Field(51216, ge=1, le=65535, description="through which weights are sent")
    start_seconds: float = Field(240.0, gt=0, description="most to wait for the server")
    memory_share: float = Field(
        0.3, gt=0, le=1, description="share of the GPU's memory, for vllm_colocate"
    )
    tensor_parallel: int = Field(1, ge=1, description="GPUs of one engine, for vllm_colocate")
    sleep: bool = Field(False, description="the engine frees its memory while weights are updated")

    @field_validator("url")
    @classmethod
    def _without_secret(cls, url: str) -> str:
        if "@" in url:
            raise ValueError("a URL without user and password: it is stored with the run")
        return url


class ModelSettings(PolicySettings):
    """Which model is trained and how it is written to, held and sampled from."""

    name: str = Field("model", description="the kind of policy")
    model: str = Field(
        min_length=1, description="a folder, a name on the hub, a .gguf file, or package:NAME"
    )
    revision: str | None = Field(None, description="branch, tag or commit of a name on the hub")
    renderer: RendererSettings = RendererSettings()
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="type of numbers in computations; auto: bfloat16 where the GPU has it. Weights"
        " that are trained are float32",
    )
    gradient_checkpointing: bool = Field(
        True,
        description="layers are computed again for the gradient: less memory, a third more time",
    )
    lora: LoraSettings | None = Field(None, description="null: all weights are trained")
    generation: Generator = Field("transformers", description="what samples the actions")
    rows: int = Field(64, ge=1, description="most episodes in one batch of `transformers`")
    vllm: VllmSettings = VllmSettings()

    @property
    def packages(self) -> tuple[str, ...]:
        vllm = self.generation.startswith("vllm")
        return (*(("peft",) if self.lora else ()), *(("vllm",) if vllm else ()))

    @model_validator(mode="after")
    def _possible(self) -> ModelSettings:
        # TRL's continuous batching casts the weights that are being trained to bfloat16.
        if self.generation == "trl_continuous" and self.dtype != "float32":
            raise ValueError("policy.generation: trl_continuous needs policy.dtype=float32")
        return self


def settings_of(config: Config) -> ModelSettings:
    """The policy's settings in a configuration that names this kind."""
    assert isinstance(config.policy, ModelSettings)
    return config.policy


class ModelKind:
    """Trains a model of the user's choice."""

    settings: ClassVar[type[PolicySettings]] = ModelSettings

    def tasks(self, config: Config, progress: Progress) -> TaskSides:
        """The tasks whose prompt fits the budget; no weights are read.

        Raises:
            UserError: the tokenizer or its template is unusable, the run's own tools or tasks are,
                or no training task fits.
        """
        from rods.policies.model_tasks import model_tasks

        return model_tasks(config, progress)

    def load(
        self, config: Config, tasks: TaskSides, checkpoint: Path | None, progress: Progress
    ) -> LoadedPolicy:
        """The model with the weights of a checkpoint or its own.

        Raises:
            UserError: the model cannot be loaded, has no such layers, or has too few positions.
        """
        from rods.policies.causal_model import load_policy
        from rods.policies.model_tasks import ModelTasks

        assert isinstance(tasks, ModelTasks)
        progress("loading the model", 0.0)
        return load_policy(config, tasks.tokenizer, tasks.renderer, checkpoint)
