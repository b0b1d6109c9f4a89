"""Configuration of a run: a YAML preset, checked by pydantic, overridden by `--set a.b=c`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from rods.envs.calls import Bounds
from rods.envs.guard import CallLimits
from rods.errors import UserError, first_problem
from rods.files.reading import Setting, parse_yaml, put, read_override
from rods.task import Category

Arm = Literal["static", "fresh", "rods"]
RewardName = Literal["format", "progress", "binary"]


class Stage(Setting):
    """A stage of the curriculum (paper section 3: format -> base -> all with expansion)."""

    reward: RewardName = "progress"
    categories: tuple[Category, ...] = Field((), description="none named: all that there are")
    expand: bool = True
    epochs: int | None = Field(None, ge=1, description="None: until the run's last step")


class RolloutConfig(Setting):
    """Groups and episodes."""

    group_size: int = Field(16, ge=2, description="K, rollouts of a task")
    tasks_per_step: int = Field(32, ge=1)
    temperature: float = Field(1.0, gt=0)
    attempts: int = Field(5, ge=1, description="attempts a user turn")
    token_budget: int = Field(512, ge=64, description="tokens of an episode")
    action_tokens: int = Field(96, ge=8, description="tokens of one action")
    hints: bool = Field(False, description="failed calls are shown with a hint, after EnvTuning")


class EnvironmentConfig(Setting):
    """The tools and where calls run. The agent's go through the guard unless `guarded` is off."""

    name: str = Field("bfcl", description="bfcl, or package.module:Class, joined by commas")
    tasks: str | None = Field(None, description="YAML or JSON lines of tasks, for own classes")
    guarded: bool = Field(True, description="calls run in worker processes that can be killed")
    limits: CallLimits = CallLimits()
    bounds: Bounds = Bounds()


class BoundaryConfig(Setting):
    """Zones and selection; quota and cooldown have no published value."""

    rule: Literal["mean", "variance", "posterior", "random"] = "mean"
    low: float = Field(0.20, ge=0, le=1)
    high: float = Field(0.85, ge=0, le=1)
    quota: int = Field(4, ge=1, description="M_tau, seeds a category and step")
    cooldown: int = Field(13, ge=0, description="c, in steps")
    redistribute: bool = Field(
        False, description="quota that a category cannot fill goes to others"
    )
    memory: float = Field(
        0.5, ge=0, le=1, description="posterior rule: weight that evidence keeps an epoch"
    )


class PoolConfig(Setting):
    """Lifecycle of generated tasks (paper section 8)."""

    seeds: int = Field(400, ge=1, description="human-made tasks in the pool")
    beta: float = Field(0.20, ge=0, le=1, description="most injected an epoch, of the active pool")
    p_max: int = Field(400, ge=0, description="most generated tasks that are active")
    burn_in: float = Field(0.20, ge=0, le=1, description="least mean outcome of the first group")
    mastered: float = Field(0.95, ge=0, le=1)
    hard: float = Field(0.20, ge=0, le=1)
    stale_epochs: int | None = Field(None, ge=1, description="None: age alone retires nothing")
    rest_epochs: int = Field(
        0, ge=0, description="epochs that an original without signal rests; 0 as in the paper"
    )
    floor: int = Field(0, ge=0, description="live tasks of a category that nothing takes away")


class SynthesisConfig(Setting):
    """Who makes variants, when, and how long they may wait."""

    mode: Literal["background", "inline"] = Field(
        "background", description="a process beside the trainer, or at each epoch's end"
    )
    patience: int = Field(1, ge=0, description="epochs after its choice in which a seed is wanted")
    waiting: int = Field(
        0, ge=0, description="candidates at which a worker pauses; 0: as many as can join"
    )
    restarts: int = Field(5, ge=0, description="deaths of the worker in a row until it is given up")
    job_seconds: float = Field(600.0, gt=0, description="after which a silent worker is replaced")
    errors: int = Field(10, ge=1, description="in a row, after which synthesis is given up")
    endpoint: str | None = Field(None, description="YAML of an OpenAI-compatible model, if any")
    stages: tuple[Literal["plan", "execute", "ground", "judge"], ...] = Field(
        ("plan", "execute", "ground", "judge"), description="what that model does"
    )


class OptimizerConfig(Setting):
    """What the engine is told."""

    learning_rate: float = Field(1e-6, gt=0)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: int = Field(0, ge=0, description="steps over which the rate rises to its full")
    clip_low: float = Field(0.2, gt=0)
    clip_high: float = Field(0.28, gt=0)
    loss: Literal["grpo", "dapo", "dr_grpo"] = "dapo"
    kl: float = Field(0.0, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    microbatch: int = Field(16, ge=1, description="trajectories a forward pass")


class EvaluationConfig(Setting):
    """Held-out measurements, always at temperature 1."""

    test_samples: int = Field(1, ge=1, description="episodes of each test task, before and after")
    validation_every: int = Field(1, ge=0, description="epochs between curve points; 0: none")
    validation_samples: int = Field(1, ge=1)


class MicroPolicyConfig(Setting):
    """The from-scratch policy of the micro preset."""

    width: int = Field(112, ge=8)
    layers: int = Field(2, ge=1)
    heads: int = Field(4, ge=1)
    indices: int = Field(200, ge=8, le=200, description="base indices of the benchmark to use")
    longer: float = Field(
        0.3, ge=0, le=1, description="share of dialogues of up to 3 turns of 3 calls"
    )
    dialogues: int = Field(30_000, ge=100, description="short dialogues made for pretraining")
    tokens: int = Field(3_200_000, ge=1_000, description="training tokens in all")
    batch_tokens: int = Field(2_048, ge=64)
    learning_rate: float = Field(4e-3, gt=0)
    seed: int = Field(0, description="of the prepared policy; apart from the run's seed")

    @model_validator(mode="after")
    def _divisible(self) -> MicroPolicyConfig:
        if self.width % (2 * self.heads):
            raise ValueError("micro.width must be a multiple of twice micro.heads")
        return self


class Config(Setting):
    """One run of the closed loop."""

    preset: str = "custom"
    arm: Arm = "rods"
    seed: int = Field(0, ge=0)
    steps: int = Field(60, ge=1)
    checkpoint_steps: int = Field(4, ge=1)
    stages: tuple[Stage, ...] = (Stage(),)
    environment: EnvironmentConfig = EnvironmentConfig()
    rollout: RolloutConfig = RolloutConfig()
    boundary: BoundaryConfig = BoundaryConfig()
    pool: PoolConfig = PoolConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    micro: MicroPolicyConfig = MicroPolicyConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.boundary.low >= self.boundary.high:
            raise ValueError("boundary.low must be below boundary.high")
        if not self.stages:
            raise ValueError("stages must name at least one stage")
        if any(stage.epochs is None for stage in self.stages[:-1]):
            raise ValueError("only the last stage may leave out epochs")
        if self.environment.name == "bfcl" and self.environment.tasks is not None:
            raise ValueError("--tasks: bfcl brings its own tasks; name your classes by --env")
        if self.environment.name != "bfcl" and self.environment.tasks is None:
            raise ValueError(f"--env {self.environment.name}: name its tasks by --tasks FILE")
        rows = self.rollout.group_size * self.rollout.tasks_per_step
        if rows % self.optimizer.microbatch:
            raise ValueError(f"optimizer.microbatch must divide the {rows} trajectories of a step")
        return self

    def stage(self, epoch: int) -> Stage:
        """The curriculum's stage in this epoch (from 0)."""
        for stage in self.stages:
            if stage.epochs is None or epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        return self.stages[-1]

    def check_categories(self, known: Iterable[str]) -> None:
        """Refuse a stage that names another category than these, of which there are tasks.

        Raises:
            UserError: naming the stage, the category, and what there is.
        """
        there = dict.fromkeys(known)
        for number, stage in enumerate(self.stages):
            for name in (c for c in stage.categories if c not in there):
                message = f"no task to train on is of {name!r}; there are {', '.join(there)}"
                raise UserError(f"stages.{number}.categories: {message}")


def preset_names() -> list[str]:
    """Shipped presets."""
    folder = files("rods") / "presets"
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name[-5:] == ".yaml")


# Settings with an option of their own.
OPTIONS = {
    "preset": "--preset",
    "seed": "--seed",
    "arm": "--arm",
    "environment.name": "--env",
    "environment.tasks": "--tasks",
}


def load_config(preset: str, overrides: Sequence[str] = (), **top: Any) -> Config:
    """A preset with `a.b=c` overrides applied.

    Args:
        overrides: values are read as YAML.
        top: fields that take precedence, by their path with "__" for the dot.

    Raises:
        UserError: no such preset, no such key, or a value that does not fit.
    """
    if preset not in preset_names():
        raise UserError(f"no preset {preset!r}; there are: {', '.join(preset_names())}")
    data = parse_yaml((files("rods") / "presets" / f"{preset}.yaml").read_text("utf-8")) or {}
    for override in overrides:
        key, value = read_override(override, "key.name")
        if key in OPTIONS:
            raise UserError(f"--set {override}: use {OPTIONS[key]} for that")
        put(data, key, value, f"--set {override}")
    for path, value in top.items():
        put(data, path.replace("__", "."), value, path)
    try:
        return Config.model_validate({**data, "preset": preset})
    except ValidationError as error:
        problem = first_problem(error)
        raise UserError(
            f"preset {preset}: {problem}" if error.errors()[0]["loc"] else problem
        ) from None
