"""Log-probabilities of some tokens of a batch, through the model's own forward.

The wrapped model is called, so the hooks of its wrappers (peft, DistributedDataParallel, FSDP) run.
During the call a hook before the output matrix keeps only the hidden states of the scored tokens:
no other logits are computed, and the model's own changes to logits (a scale, a cap) apply to these.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class MisfitError(Exception):
    """The model's forward does not apply its output matrix once to the states of all tokens."""


def token_scores(
    model: nn.Module,
    head: nn.Module,
    input_ids: Tensor,
    attention_mask: Tensor,
    scored: Tensor,
    temperature: float,
    size: int,
) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropies of the tokens where `scored`; 0 elsewhere.

    All tensors are [rows, tokens]. Entropies carry no gradient.

    Args:
        model: a causal language model of `transformers`, wrapped or not.
        head: its output matrix, the module itself.
        scored: never a row's first token, and none that `attention_mask` leaves out, unless the
            token before it is attended to.
        size: rows a forward pass. Rows of like length go together, each chunk cut to its own
            longest; rows without such a token are not run.

    Raises:
        MisfitError: the scores cannot be computed in this way.
    """
    before, targets = scored.roll(-1, 1), input_ids.roll(-1, 1)
    logps = torch.zeros(scored.shape, device=input_ids.device)
    entropies = torch.zeros_like(logps)
    some = scored.any(1).nonzero().squeeze(1)
    for rows in torch.split(some[attention_mask[some].sum(1).argsort()], size):
        used = attention_mask[rows].any(0).nonzero()
        part = slice(int(used[0]), int(used[-1]) + 1)
        at = before[rows, part]
        logits = _logits(model, head, input_ids[rows, part], attention_mask[rows, part], at)
        logp = (logits.float() / temperature).log_softmax(-1)
        at_row, at_column = at.nonzero(as_tuple=True)
        index = (rows[at_row], at_column + part.start + 1)
        chosen = logp.gather(-1, targets[rows, part][at][:, None]).squeeze(-1)
        logps = logps.index_put(index, chosen)
        seen = logp.detach()
        entropies = entropies.index_put(index, -(seen.exp() * seen).sum(-1))
    return logps, entropies


def _logits(
    model: nn.Module, head: nn.Module, input_ids: Tensor, attention_mask: Tensor, at: Tensor
) -> Tensor:
    """Logits [scored tokens, vocabulary] after the positions `at` [rows, tokens]."""
    calls: list[bool] = []

    def keep(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        fits = len(given) == 1 and given[0].shape[:-1] == at.shape
        calls.append(fits)
        return (given[0][at].unsqueeze(0),) if fits else None

    handle = head.register_forward_pre_hook(keep)
    try:
        output = model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
    finally:
        handle.remove()
    logits: Tensor = output.logits
    if calls != [True] or logits.shape[:-1] != (1, int(at.sum())):
        raise MisfitError
    return logits.squeeze(0)
