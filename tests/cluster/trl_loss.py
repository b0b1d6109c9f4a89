"""TRL's loss of given rows, and its gradient: `python trl_loss.py MODEL ROWS SETTINGS OUT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoTokenizer
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from rods.config import Config
from rods.ranks import Ranks
from rods.trainers.arguments import grpo_arguments


def loss_of(config: Config, model: str, rows: dict[str, Any]) -> tuple[float, torch.Tensor]:
    """Of the real trainer with our arguments; the rows have their log-probabilities."""
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=GRPOConfig(**grpo_arguments(config, Path("trl_loss"), Ranks(), {})),
        train_dataset=Dataset.from_dict({"prompt": ["a"]}),
        processing_class=AutoTokenizer.from_pretrained(model),
    )
    scores = rows["logps"].clone().requires_grad_()
    made = (scores, torch.zeros_like(scores), None)
    trainer._get_per_token_logps_and_entropies = lambda *_, **__: made
    trainer.current_gradient_accumulation_steps = 1
    count = len(scores)
    loss = trainer._compute_loss(
        trainer.model.train(),
        {
            "prompt_ids": torch.ones(count, 1, dtype=torch.long),
            "prompt_mask": torch.ones(count, 1, dtype=torch.long),
            "completion_ids": torch.ones_like(rows["mask"]),
            "completion_mask": torch.ones_like(rows["mask"]),
            "tool_mask": rows["mask"],
            "advantages": rows["advantages"],
            "old_per_token_logps": rows["old"],
            "ref_per_token_logps": rows["reference"],
            "num_items_in_batch": rows["mask"].sum(),
        },
    )
    loss.backward()
    assert scores.grad is not None
    return loss.item(), scores.grad


if __name__ == "__main__":
    model, rows, wanted, out = sys.argv[1:]
    given = torch.load(rows)
    configs = [Config.model_validate(each) for each in json.loads(Path(wanted).read_text())]
    torch.save([loss_of(config, model, given) for config in configs], out)
