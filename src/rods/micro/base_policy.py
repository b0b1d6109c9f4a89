"""The policy that a run starts from: tokenizer, and weights pretrained on perfect episodes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rods.config import MicroPolicyConfig as PolicyConfig
from rods.envs.base import Environment
from rods.micro.cache import Progress
from rods.micro.dialogues import Renaming
from rods.micro.renderer import MicroRenderer
from rods.micro.tasks import MAX_TOKENS, MicroTasks
from rods.micro.tokenizer import MicroTokenizer

Example = tuple[list[int], list[bool]]
"""Token ids, and which of them the agent writes."""


@dataclass(frozen=True)
class Prepared:
    """What a run starts from.

    Attributes:
        model: a `save_pretrained` folder.
        notice: what a reader must know about the run's numbers.
    """

    env: Environment
    renderer: MicroRenderer
    tasks: MicroTasks
    model: Path
    notice: str


def make_base(
    folder: Path,
    tokenizer: MicroTokenizer,
    config: PolicyConfig,
    examples: Sequence[Example],
    renaming: Renaming,
    progress: Progress,
) -> dict[str, Any]:
    """Train from scratch into `folder/model`; returns what there is to tell about it."""
    import torch

    from rods.micro.model import MicroForCausalLM, MicroModelConfig
    from rods.micro.pretrain import pretrain

    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    model = MicroForCausalLM(
        MicroModelConfig(
            vocab_size=len(tokenizer),
            width=config.width,
            layers=config.layers,
            heads=config.heads,
            context=2 * MAX_TOKENS,
            pad_token_id=tokenizer.pad_id,
        )
    )
    losses: list[float] = []

    def on_step(tokens: int, loss: float) -> None:
        losses.append(loss)
        progress(f"pretraining, loss {loss:.2f}", tokens / config.tokens)

    pretrain(
        model,
        _passes(examples, renaming, random.Random(config.seed)),
        total_tokens=config.tokens,
        batch_tokens=config.batch_tokens,
        lr=config.learning_rate,
        seed=config.seed,
        on_step=on_step,
    )
    model.save_pretrained(folder / "model")
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": len(tokenizer),
        "dialogues": len(examples),
        "loss": sum(losses[-20:]) / len(losses[-20:]),
    }


def _passes(
    examples: Sequence[Example], renaming: Renaming, rng: random.Random
) -> Iterator[Example]:
    while True:
        order = list(examples)
        rng.shuffle(order)
        for ids, mask in order:
            yield renaming(ids, rng), mask
