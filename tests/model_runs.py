"""Runs of `rods train` with a small stock model, on tasks of a small shop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from commandline import Done
from rods.metrics import untimed
from small_shop import OPTIONS

Train = Callable[..., Done]
SMALL = {
    "steps": 2,
    "checkpoint_steps": 1,
    "rollout": "{group_size: 4, tasks_per_step: 2, token_budget: 700, action_tokens: 24}",
    "optimizer": "{learning_rate: 1.0e-2, microbatch: 8}",
    "boundary.rule": "random",
    "stages": "[{expand: false}]",
    "policy.name": "model",
}


def arguments(run: Path, model: Path, *settings: str) -> list[str]:
    """Of the command that trains this model, with settings that come last."""
    chosen = [f"{name}={value}" for name, value in {**SMALL, "policy.model": model}.items()]
    changes = [part for each in (*chosen, *settings) for part in ("--set", each)]
    return ["train", "--run", str(run), "--preset", "tiny", *OPTIONS, *changes]


def lines(run: Path) -> list[dict[str, Any]]:
    """The metrics of each step, without times."""
    found = map(json.loads, (run / "metrics.jsonl").read_text("utf-8").splitlines())
    return [untimed(line) for line in found]


def weights(run: Path, step: int, name: str = "model.safetensors") -> dict[str, torch.Tensor]:
    """Of a checkpoint."""
    return load_file(run / "checkpoints" / f"checkpoint-{step}" / name)


def logged(run: Path, step: int) -> list[dict[str, Any]]:
    """What TRL gave its trackers at each step up to a checkpoint."""
    state = run / "checkpoints" / f"checkpoint-{step}" / "trainer_state.json"
    return [each for each in json.loads(state.read_text())["log_history"] if "loss" in each]
