"""Teacher-forced training of the small model on masked token sequences."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import torch
from torch import Tensor

from rods.micro.model import MicroForCausalLM

Example = tuple[list[int], list[bool]]
"""Token ids, and for each whether it is a target: a token the model is to produce."""

_WARM_UP = 0.03
_MUON_RATIO = 5.0  # its updates are of fixed size, so its rate is another measure than Adam's
_BUFFERED_BATCHES = 32


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
    the mean over target tokens. The rate (`lr` for Adam, a multiple of it for Muon) rises to its
    full, then falls linearly to zero at `total_tokens`. `on_step` gets the tokens read so far,
    padding not counted, and the loss of the step. Equal seeds and examples give equal weights.
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
