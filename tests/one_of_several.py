"""One process of a real training over several: RANK and WORLD_SIZE tell it which.

    python one_of_several.py FILE

Trains each of two models for three steps on twelve rows together, in groups of four, and writes
their weights to FILE with the process's rank behind. By then every process has had groups of every
kind and a step without any row with an advantage, and the group in the middle lay on two.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from grpo import lora, micro, qwen2, trainer
from rods.trainers import signal_trainer

CHUNK = 2  # rows; so that a process with fewer rows to run would have fewer chunks
CASES = (("micro", "dapo"), ("qwen2, lora", "grpo"))  # a model and a loss
K, ROWS = 4, 12
MIXED, OTHER, LOSSY = [0.2, 0.4, 0.6, 0.6], [0.0, 1.0, 1.0, 1.0], [0.2, None, 0.6, 0.8]
STEPS = [
    [*MIXED, *[0.6] * K, *[0.2] * K],
    [*[0.1 + 0.2] * K, *LOSSY, *[0.6] * K],
    [*[0.6] * K, *OTHER, *MIXED],
]


def model(name: str) -> Any:
    return micro() if name == "micro" else lora(qwen2(), "q_proj", "v_proj")


def rollout(prompts: list[str], trainer: Any) -> dict[str, Any]:
    """The same rows however many processes share them."""
    first = trainer.accelerator.process_index * len(prompts)
    rows = range(first, first + len(prompts))
    return {
        "prompt_ids": [[2, 3, 4][: 1 + row % 3] for row in rows],
        "completion_ids": [[row + 5, row + 6, 7] * (1 + row % 4) for row in rows],
        "env_mask": [[1, 1, 0] * (1 + row % 4) for row in rows],
        "logprobs": None,
        "given": [STEPS[trainer.state.global_step][row] for row in rows],
    }


def trained(name: str, loss: str, folder: Path) -> dict[str, torch.Tensor]:
    """The weights after all steps, as the process's environment says how many share the rows."""
    made = trainer(
        signal_trainer.SignalTrainer,
        folder,
        model(name),
        lambda completions, given, **_: given,
        rollout,
        per_device_train_batch_size=ROWS // int(os.environ.get("WORLD_SIZE", "1")),
        num_generations=K,
        max_steps=len(STEPS),
        learning_rate=0.01,
        loss_type=loss,
    )
    with mock.patch.object(signal_trainer, "CHUNK", CHUNK):
        made.train()
    return {name: weight.detach() for name, weight in made.model.named_parameters()}


if __name__ == "__main__":
    file = Path(f"{sys.argv[1]}.{os.environ['RANK']}")
    # They meet in a file: a port that was free may be taken before it is used.
    torch.distributed.init_process_group(
        "gloo",
        init_method=Path(f"{sys.argv[1]}.meeting").absolute().as_uri(),
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
    )
    torch.save([trained(*case, file.parent) for case in CASES], file)
    torch.distributed.destroy_process_group()
