"""The savings of `SignalTrainer` change no gradient."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from rods.micro.model import MicroConfig, MicroForCausalLM
from rods.micro.tokenizer import MicroTokenizer

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
WORDS = MicroTokenizer.build(["alpha", "beta", "gamma"], ["<end>", "<user>"])


def trainer(kind: Any, folder: Path) -> Any:
    from trl.trainer.grpo_config import GRPOConfig

    torch.manual_seed(0)
    config = MicroConfig(vocab_size=len(WORDS), width=16, layers=2, heads=2, context=64)
    arguments = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=40,
        num_generations=4,
        max_steps=1,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        loss_type="dapo",
        beta=0.0,
        temperature=0.7,
    )
    return kind(
        model=MicroForCausalLM(config),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": ["alpha"] * 4}),
        processing_class=WORDS.to_transformers("<end>"),
    )


def batch(rows: int = 40) -> dict[str, Any]:
    """Ragged prompts (padded left) and completions (padded right), a third without advantage."""
    torch.manual_seed(1)
    made = {
        "prompt_ids": torch.randint(1, len(WORDS), (rows, 6)),
        "prompt_mask": torch.ones(rows, 6, dtype=torch.long),
        "completion_ids": torch.randint(1, len(WORDS), (rows, 20)),
        "completion_mask": torch.ones(rows, 20, dtype=torch.long),
        "tool_mask": torch.randint(0, 2, (rows, 20)),
        "advantages": torch.randn(rows),
    }
    for row in range(rows):
        prompt, completion = row % 5, row % 13
        made["prompt_ids"][row, :prompt] = made["prompt_mask"][row, :prompt] = 0
        made["completion_ids"][row, 20 - completion :] = 0
        made["completion_mask"][row, 20 - completion :] = 0
    made["advantages"][::3] = 0.0
    made["num_items_in_batch"] = (made["tool_mask"] * made["completion_mask"]).sum()
    return made


@pytest.mark.parametrize("silent", [False, True])
def test_the_gradient_is_that_of_the_plain_trainer(tmp_path: Path, silent: bool) -> None:
    from trl.trainer.grpo_trainer import GRPOTrainer

    from rods.engines.trl_trainer import SignalTrainer

    gradients = []
    for kind in (GRPOTrainer, SignalTrainer):
        made = trainer(kind, tmp_path / kind.__name__)
        inputs = batch()
        if silent:
            inputs["advantages"].zero_()
        made.model.train()
        made.current_gradient_accumulation_steps = 1
        made._compute_loss(made.model, inputs).backward()
        gradients.append({n: p.grad for n, p in made.model.named_parameters()})
    plain, ours = gradients
    assert plain.keys() == ours.keys()
    assert any(g.abs().max() > 1e-4 for g in plain.values()) is not silent
    for name, gradient in plain.items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-6, rtol=1e-4)
