"""The arguments of TRL's `GRPOConfig` that a configuration asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rods.config import Config
from rods.errors import UserError
from rods.ranks import Ranks
from rods.trainers.checkpoints import FOLDER

# The plain constant schedule of `transformers` ignores a warm-up.
_SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}
PROJECT = "rods"


def grpo_arguments(
    config: Config, folder: Path, ranks: Ranks, more: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a run in `folder`.

    Args:
        more: those of the policy, which take precedence.

    Raises:
        UserError: the rollouts of a step cannot be divided among the processes.
    """
    optimizer, rollout = config.optimizer, config.rollout
    part, left = divmod(rollout.rows, optimizer.microbatch * ranks.size)
    if left:
        rows = f"the {rollout.rows} rollouts of a step"
        raise UserError(f"optimizer.microbatch: times {ranks.size} processes must divide {rows}")
    return {
        "output_dir": str(folder / FOLDER),
        "max_steps": config.steps,
        "per_device_train_batch_size": optimizer.microbatch,
        "gradient_accumulation_steps": part,
        "num_generations": rollout.group_size,
        "temperature": rollout.temperature,
        "learning_rate": optimizer.learning_rate,
        "lr_scheduler_type": _SCHEDULES[optimizer.schedule],
        "warmup_steps": optimizer.warmup_steps,
        "weight_decay": optimizer.weight_decay,
        "max_grad_norm": optimizer.max_norm,
        "epsilon": optimizer.clip_low,
        "epsilon_high": optimizer.clip_high,
        "beta": optimizer.kl,
        "use_bias_correction_kl": False,  # the gradient of verl's low_var_kl, as in EnvTuning
        "loss_type": optimizer.loss,
        "max_completion_length": rollout.token_budget,
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": not _accelerated(),
        "shuffle_dataset": False,
        "ignore_data_skip": True,
        "save_strategy": "steps",
        "save_steps": config.checkpoint_steps,
        "save_total_limit": 2,
        "logging_steps": 1,
        "disable_tqdm": True,
        "log_level": "error",
        "log_level_replica": "error",
        "seed": config.seed,
        "dataloader_pin_memory": False,
        **tracking(config, folder),
        **more,
    }


def tracking(config: Config, folder: Path) -> dict[str, Any]:
    """The arguments for trackers. Their accounts and addresses are in environment variables of
    their own, which a run does not store."""
    for variable in ("WANDB_PROJECT", "MLFLOW_EXPERIMENT_NAME"):
        os.environ.setdefault(variable, PROJECT)
    name = config.run_name or folder.resolve().name
    return {"report_to": [*config.report_to] or "none", "run_name": name, "project": PROJECT}


def _accelerated() -> bool:
    return torch.cuda.is_available()
