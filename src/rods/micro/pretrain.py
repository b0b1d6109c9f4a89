"""Teacher-forced training of the small model on masked token sequences."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rods.cache import Progress
from rods.micro.dialogues import MAX_TOKENS, Example, Renaming
from rods.micro.kind import MicroSettings
from rods.micro.model import MicroForCausalLM, MicroModelConfig
from rods.micro.tokenizer import MicroTokenizer

_WARM_UP = 0.03
_MUON_RATIO = 5.0  # its updates have a fixed size, so its rate is on another scale than Adam's
_BUFFERED_BATCHES = 32


def make_model(
    folder: Path,
    tokenizer: MicroTokenizer,
    settings: MicroSettings,
    examples: Sequence[Example],
    renaming: Renaming,
    progress: Progress,
) -> dict[str, Any]:
    """Train a new model into `folder/model`; returns its size, its data and its last loss."""
    torch.set_num_threads(1)
    torch.manual_seed(settings.seed)
    model = MicroForCausalLM(
        MicroModelConfig(
            vocab_size=len(tokenizer),
            width=settings.width,
            layers=settings.layers,
            heads=settings.heads,
            context=2 * MAX_TOKENS,
            pad_token_id=tokenizer.pad_id,
        )
    )
    losses: list[float] = []

    def on_step(tokens: int, loss: float) -> None:
        losses.append(loss)
        progress(f"pretraining, loss {loss:.2f}", tokens / settings.tokens)

    pretrain(
        model,
        _passes(examples, renaming, random.Random(settings.seed)),
        total_tokens=settings.tokens,
        batch_tokens=settings.batch_tokens,
        lr=settings.learning_rate,
        seed=settings.seed,
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


def pretrain(
    model: MicroForCausalLM,
    examples: Iterable[Example],
    *,
    total_tokens: int,
    batch_tokens: int,
    lr: float,
    seed: int,
    on_step: Callable[[int, float], None] | None = None,
) -> None:
    """Train in place until `total_tokens` are read or the examples run out.

    `batch_tokens` bounds rows times longest row of a batch (one example always fits). The loss is
    the mean over the tokens that the agent writes. The learning rate (`lr` for Adam, a multiple of
    it for Muon) rises to its full value, then falls linearly to zero at `total_tokens`. `on_step`
    gets the tokens read so far, padding not counted, and the loss of the step. Equal random seeds
    and examples give equal weights.
    """
    model.train()
    optimizers = _optimizers(model, lr)
    rates = [(group, group["lr"]) for o in optimizers for group in o.param_groups]
    done = 0
    for batch in _batches(examples, batch_tokens, random.Random(seed)):
        done += sum(len(ids) for ids, _ in batch)
        progress = min(1.0, done / total_tokens)
        for group, rate in rates:
            group["lr"] = rate * min(progress / _WARM_UP, (1 - progress) / (1 - _WARM_UP))
        inputs = collate(batch, model.config.pad_token_id or 0)
        ids, targets = (tensor.to(model.device) for tensor in inputs)
        scored = targets.ne(-100).sum().clamp(min=1)
        loss = -model.token_logprobs(ids, targets).sum() / scored
        model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        if on_step is not None:
            on_step(done, loss.item())
        if done >= total_tokens:
            break
    model.train(False)


def _optimizers(model: MicroForCausalLM, lr: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between states, which then learn from fewer tokens; Adam for the rest.

    Token vectors and the copy gate are no such matrices (https://kellerjordan.github.io/posts/muon).
    """
    inner: list[torch.nn.Parameter] = []
    rest: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_map = parameter.ndim == 2 and "embed" not in name and "gate" not in name
        (inner if is_map else rest).append(parameter)
    return [
        torch.optim.Muon(inner, lr=_MUON_RATIO * lr, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True),
    ]


def collate(batch: list[Example], pad_id: int) -> tuple[Tensor, Tensor]:
    """Inputs and shifted targets (-100: none), [rows, longest - 1], padded on the right."""
    longest = max(len(ids) for ids, _ in batch)
    inputs = [ids[:-1] + [pad_id] * (longest - len(ids)) for ids, _ in batch]
    targets = [
        [token if wanted else -100 for token, wanted in zip(ids[1:], mask[1:], strict=True)]
        + [-100] * (longest - len(ids))
        for ids, mask in batch
    ]
    return torch.tensor(inputs), torch.tensor(targets)


def _batches(
    examples: Iterable[Example], batch_tokens: int, rng: random.Random
) -> Iterator[list[Example]]:
    """Batches of examples of like length, in random order within each stretch of the stream."""
    stream = iter(examples)
    while buffer := list(_stretch(stream, batch_tokens * _BUFFERED_BATCHES)):
        rng.shuffle(buffer)
        buffer.sort(key=lambda example: len(example[0]))
        batches: list[list[Example]] = [[]]
        for example in buffer:
            if batches[-1] and (len(batches[-1]) + 1) * len(example[0]) > batch_tokens:
                batches.append([])
            batches[-1].append(example)
        rng.shuffle(batches)
        yield from batches


def _stretch(stream: Iterator[Example], tokens: int) -> Iterator[Example]:
    """The next examples of the stream, together at least `tokens` long if there are so many."""
    while tokens > 0 and (taken := list(islice(stream, 1))):
        tokens -= len(taken[0][0])
        yield taken[0]
