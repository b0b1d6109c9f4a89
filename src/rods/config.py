"""Configuration of a run, checked by pydantic; `rods.presets` reads it from files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from rods.envs.calls import Bounds, CallLimits
from rods.errors import UserError
from rods.files.reading import Setting
from rods.policies.registry import PolicySettings, read_settings
from rods.stages import Stage

Arm = Literal["static", "fresh", "rods"]
Tracker = Literal["trackio", "wandb", "tensorboard", "mlflow"]


class RolloutConfig(Setting):
    """Groups and episodes."""

    group_size: int = Field(16, ge=2, description="K, the rollouts of each task of a step")
    tasks_per_step: int = Field(32, ge=1, description="tasks of a training step, a group of each")
    temperature: float = Field(1.0, gt=0, description="of the sampling in training")
    dynamic: int = Field(
        0,
        ge=0,
        description="batches played at most until all groups of an update have signal (DAPO);"
        " 0: each batch is an update",
    )
    attempts: int = Field(5, ge=1, description="most actions with calls at each turn of the user")
    token_budget: int = Field(512, ge=64, description="most tokens of an episode")
    action_tokens: int = Field(96, ge=8, description="most tokens of one action")

    @property
    def rows(self) -> int:
        """Rollouts of a training step."""
        return self.group_size * self.tasks_per_step

    @property
    def at_once(self) -> int:
        """Most episodes that are played together, in training or in a measurement."""
        return max(self.rows, 128)


class EnvironmentConfig(Setting):
    """The tools and where calls run. The agent's go through the guard unless `guarded` is off."""

    name: str = Field(
        "bfcl", description="bfcl, package.module:Class (several by commas), or mcp:FILE"
    )
    tasks: str | None = Field(
        None, description="YAML or JSON lines of tasks, instead of those of bfcl"
    )
    guarded: bool = Field(True, description="calls run in worker processes that can be killed")
    limits: CallLimits = CallLimits()
    bounds: Bounds = Bounds()


class BoundaryConfig(Setting):
    """Zones and the choice of parent tasks; quota and cooldown have no published value."""

    rule: Literal["mean", "variance", "advantage", "posterior", "random"] = Field(
        "mean", description="which tasks are at the boundary; docs/pool.md compares the rules"
    )
    low: float = Field(0.20, ge=0, le=1, description="least mean outcome at the boundary")
    high: float = Field(0.85, ge=0, le=1, description="highest mean outcome at the boundary")
    quota: int = Field(4, ge=1, description="M_tau, most parent tasks of a category and step")
    cooldown: int = Field(
        13, ge=0, description="c, steps in which a task that was chosen is not chosen again"
    )
    family_cooldown: bool = Field(
        False, description="the cooldown is of all tasks that descend from one seed task"
    )
    redistribute: bool = Field(
        False, description="quota that a category cannot fill goes to others"
    )
    memory: float = Field(
        0.5, ge=0, le=1, description="posterior rule: weight that evidence keeps an epoch"
    )


class PoolConfig(Setting):
    """How variants join the pool, stay in it and leave it."""

    seeds: int = Field(400, ge=1, description="seed tasks in the pool")
    offline: int = Field(
        0,
        ge=0,
        description="variants of random seed tasks that are made before training and stay in the"
        " pool like seed tasks: an offline pipeline, for comparison",
    )
    sampling: Literal["uniform", "priority"] = Field(
        "uniform",
        description="uniform: an epoch has each task once; priority: tasks are drawn by the"
        " boundary rule's priority",
    )
    beta: float = Field(
        0.20,
        ge=0,
        le=1,
        description="most that an epoch's end injects, as a share of the pool, resting seed tasks"
        " included",
    )
    p_max: int = Field(400, ge=0, description="most variants that are active")
    family_share: float = Field(
        1.0, gt=0, le=1, description="most of P_max that variants of one seed task may take"
    )
    burn_in: float = Field(
        0.20, ge=0, le=1, description="least mean outcome of a variant's first group"
    )
    mastered: float = Field(
        0.95, ge=0, le=1, description="a variant with a higher mean outcome retires"
    )
    hard: float = Field(0.20, ge=0, le=1, description="a variant with a lower mean outcome retires")
    stale_epochs: int | None = Field(
        None, ge=1, description="age at which a variant retires; null: age alone retires nothing"
    )
    rest_epochs: int = Field(
        0, ge=0, description="epochs that a seed task without signal rests; 0 as in the paper"
    )
    floor: int = Field(0, ge=0, description="live tasks of a category that always remain")
    forecast: bool = Field(
        False, description="candidates are admitted by the forecast signal of their first group"
    )
    retire: bool = Field(True, description="false: only P_max removes variants")
    retire_no_signal: bool | None = Field(
        None,
        description="whether a variant retires whose next group is expected to have no signal;"
        " null: if the boundary rule reads the signal",
    )


class SynthesisConfig(Setting):
    """What makes variants, when, and how long they may wait."""

    sources: Literal["seeds", "train"] = Field(
        "seeds",
        description="tasks whose structure, start states and values it learns: the run's seed"
        " tasks, or all training tasks",
    )
    mode: Literal["background", "inline"] = Field(
        "background", description="background: in a process of its own; inline: at each epoch's end"
    )
    replan: bool = Field(
        True, description="variants may have other tools than the parent task; false: other values"
    )
    feedback: bool = Field(True, description="an attempt learns from those that failed before it")
    surplus: float = Field(
        1.0,
        ge=1,
        le=10,
        description="candidates that are made for each place in the pool, and at most of one parent"
        " task at a time",
    )
    patience: int = Field(
        1, ge=0, description="epochs after its choice in which a parent task may be varied"
    )
    waiting: int = Field(
        0, ge=0, description="candidates at which a worker pauses; 0: as many as can join"
    )
    restarts: int = Field(
        5, ge=0, description="restarts of the worker in a row after which synthesis is given up"
    )
    job_seconds: float = Field(
        600.0, gt=0, description="seconds without a report after which a worker is replaced"
    )
    errors: int = Field(10, ge=1, description="errors in a row after which synthesis is given up")
    endpoint: str | None = Field(
        None, description="file of an endpoint whose model does stages; null: programs do all"
    )
    stages: tuple[Literal["plan", "execute", "ground", "judge"], ...] = Field(
        ("plan", "execute", "ground", "judge"), description="stages that the endpoint's model does"
    )


class OptimizerConfig(Setting):
    """How the policy is updated. Passed to the trainer."""

    learning_rate: float = Field(1e-6, gt=0, description="of AdamW, after the warm-up")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="how the learning rate falls to 0 at the last step, if it falls"
    )
    warmup_steps: int = Field(
        0, ge=0, description="steps over which the rate rises to its full value"
    )
    clip_low: float = Field(0.2, gt=0, description="the ratio of probabilities is at least 1 - it")
    clip_high: float = Field(0.28, gt=0, description="the ratio of probabilities is at most 1 + it")
    loss: Literal["grpo", "dapo", "dr_grpo"] = Field(
        "dapo",
        description="mean over tokens: of each rollout first (grpo), of all rollouts together"
        " (dapo), or the sum divided by the most tokens that a rollout may have (dr_grpo)",
    )
    kl: float = Field(
        0.0, ge=0, description="weight of the divergence from the model that the run began with"
    )
    weight_decay: float = Field(0.0, ge=0, description="of AdamW")
    max_norm: float = Field(1.0, gt=0, description="norm to which a larger gradient is scaled down")
    microbatch: int = Field(16, ge=1, description="rollouts in one forward pass of each process")


class EvaluationConfig(Setting):
    """Held-out measurements."""

    test_samples: int = Field(
        1, ge=0, description="episodes of each test task, before and after; 0: it is not read"
    )
    validation_every: int = Field(
        1, ge=0, description="least steps between curve points, which are at epochs' ends; 0: none"
    )
    validation_samples: int = Field(
        1, ge=1, description="episodes of each validation task in a measurement"
    )
    temperature: float = Field(
        1.0,
        ge=0,
        description="of the sampling; 0: the likeliest token, with which a policy gains nothing by"
        " only becoming surer",
    )
    structure: int = Field(
        0,
        ge=0,
        description="more held-out tasks, with combinations of tools that no training task has",
    )
    spare: bool = Field(
        False, description="training tasks that are no seed tasks of the run validate too"
    )
    tasks: int | None = Field(
        None, ge=0, description="most of each side, alike of each category; null: all, 0: none"
    )


class HardwareConfig(Setting):
    """What a run is sized for: `rods train` needs it, and `--dry-run` counts with it."""

    gpus: int = Field(
        0, ge=0, description="processes with a GPU each; 0: a GPU is used if there is one"
    )
    memory: float = Field(78.0, gt=0, description="GiB of each GPU; without GPUs main memory")
    sharded: bool = Field(
        False, description="weights, gradients and optimizer are divided among the GPUs (FSDP)"
    )
    generation: float = Field(2000.0, gt=0, description="assumed tokens/s that a GPU generates")
    training: float = Field(
        2000.0, gt=0, description="assumed tokens/s of a GPU, forward and backward with checkpoints"
    )

    @property
    def processes(self) -> int:
        """The processes that train."""
        return max(1, self.gpus)


class Config(Setting):
    """One run of the closed loop."""

    preset: str = Field("custom", description="name of the shipped configuration")
    arm: Arm = Field(
        "rods",
        description="rods: variants of tasks at the boundary; static: seed tasks only;"
        " fresh: a new task for each group",
    )
    seed: int = Field(0, ge=0, description="random seed, from which all random choices follow")
    steps: int = Field(60, ge=1, description="training steps of the run")
    checkpoint_steps: int = Field(4, ge=1, description="steps between two checkpoints")
    report_to: tuple[Tracker, ...] = Field((), description="trackers, through TRL")
    run_name: str | None = Field(None, description="in the trackers; null: the folder's name")
    stages: tuple[Stage, ...] = Field((Stage(),), description="stages of training, in their order")
    environment: EnvironmentConfig = EnvironmentConfig()
    rollout: RolloutConfig = RolloutConfig()
    boundary: BoundaryConfig = BoundaryConfig()
    pool: PoolConfig = PoolConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    hardware: HardwareConfig = HardwareConfig()
    policy: Annotated[SerializeAsAny[PolicySettings], BeforeValidator(read_settings)] = Field(
        default_factory=lambda: read_settings({})
    )

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.boundary.low >= self.boundary.high:
            raise ValueError("boundary.low must be below boundary.high")
        if not self.stages:
            raise ValueError("stages must name at least one stage")
        if any((s.epochs, s.until, s.plateau) == (None,) * 3 for s in self.stages[:-1]):
            raise ValueError("only the last stage may leave out all of epochs, until and plateau")
        measured = self.evaluation.validation_every and self.evaluation.tasks != 0
        if any(stage.plateau for stage in self.stages) and not measured:
            raise ValueError("a stage's plateau needs evaluation.validation_every, and its tasks")
        if self.environment.name != "bfcl" and self.environment.tasks is None:
            raise ValueError(f"--env {self.environment.name}: name its tasks by --tasks FILE")
        if self.evaluation.spare and self.synthesis.sources == "train":
            raise ValueError("evaluation.spare needs synthesis.sources=seeds: the others are used")
        if self.rollout.dynamic and self.hardware.processes > 1:
            raise ValueError("rollout.dynamic works in one process; set hardware.gpus to 1 or 0")
        rows, processes = self.rollout.rows, self.hardware.processes
        if rows % (self.optimizer.microbatch * processes):
            times = f" times {processes} GPUs" * (processes > 1)
            raise ValueError(
                f"optimizer.microbatch{times} must divide the {rows} rollouts of a step"
            )
        return self

    def stage(self, number: int) -> Stage:
        """The stage with this index, which a store may have damaged."""
        return self.stages[max(0, min(number, len(self.stages) - 1))]

    def check_categories(self, known: Iterable[str]) -> None:
        """Refuse a stage that names a category without tasks.

        Args:
            known: the categories that tasks have.

        Raises:
            UserError: naming the stage, the category, and what there is.
        """
        there = dict.fromkeys(known)
        for number, stage in enumerate(self.stages):
            for name in (c for c in stage.categories if c not in there):
                message = f"no training task is of {name!r}; there are {', '.join(there)}"
                raise UserError(f"stages.{number}.categories: {message}")
