"""Any causal language model of `transformers` as a policy, by its own `generate`.

The model's `generation_config` (a top-k, a penalty) is not used: training needs the
log-probabilities of the distribution that was sampled from, and that is the model's at the given
temperature. A batch is computed from its first token on; no cache outlives an action.

The draws of an episode depend on its own random seed and on the tokens so far, and not on the batch
that it is played in. So processes that share the episodes of a step sample what one would.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from rods.policies.registry import EPISODE
from rods.rollout.gathering import Gathering, Request
from rods.rollout.policy import Generation, Sampling


class TransformersPolicy(Gathering):
    """Samples from a model. `seeded` sets the random seed of the draws that follow.

    Args:
        model: with `generate`, on any one device.
        pad_id: of a token that fills up shorter histories on the left; it is masked out.
        rows: most episodes in one call of `generate`, which all have the same sampling.
        autocast: data type of the matrix products; None: the weights' own.
    """

    def __init__(
        self, model: Any, pad_id: int, rows: int = 64, autocast: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.model, self._pad_id, self._rows, self._autocast = model, pad_id, rows, autocast
        self._seed = self._version = self._first = self._entered = 0

    def seeded(self, seed: int, version: int = 0) -> TransformersPolicy:
        """Itself, with a new random seed and with the version of the weights.

        Episode n from now on has the random seed `seed + n * EPISODE`.
        """
        self._seed, self._version = seed, version
        self._first = self._entered = 0
        return self

    def enter(self, episodes: int) -> None:
        super().enter(episodes)
        self._first, self._entered = self._entered, self._entered + episodes

    def answer(self, requests: Sequence[Request]) -> list[Generation]:
        alike: dict[Sampling, list[int]] = {}
        for place, request in enumerate(requests):
            alike.setdefault(request.sampling._replace(episode=0), []).append(place)
        made: dict[int, Generation] = {}
        for sampling, places in alike.items():
            for first in range(0, len(places), self._rows):
                part = places[first : first + self._rows]
                generated = self._generate([requests[place] for place in part], sampling)
                made.update(zip(part, generated, strict=True))
        return [made[place] for place in range(len(requests))]

    def _generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Generation]:
        """Generations of requests with the same sampling.

        Those with fewer tokens left are apart: `generate` computes all rows to the end of the
        longest, and a model may have no positions beyond a row's own limit.
        """
        width = max(len(request.ids) for request in requests)
        rows = [[self._pad_id] * (width - len(r.ids)) + [*r.ids] for r in requests]
        real = [[0] * (width - len(r.ids)) + [1] * len(r.ids) for r in requests]
        device, sampler = self.model.device, _Sampler(sampling, [self._draws(r) for r in requests])
        with _in_evaluation(self.model), _cast(device, self._autocast), torch.no_grad():
            whole = self.model.generate(
                input_ids=torch.tensor(rows, device=device),
                attention_mask=torch.tensor(real, device=device),
                generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
                    max_new_tokens=sampling.max_tokens,
                    eos_token_id=list(sampling.stop_ids),
                    pad_token_id=self._pad_id,
                    do_sample=False,  # the sampler leaves one token
                ),
                logits_processor=LogitsProcessorList([sampler]),
            )
        ids, logprobs = whole[:, width:].tolist(), torch.stack(sampler.chosen, 1).tolist()
        return [
            Generation(row[: _end(row, sampling)], chosen[: _end(row, sampling)], self._version)
            for row, chosen in zip(ids, logprobs, strict=True)
        ]

    def _draws(self, request: Request) -> random.Random:
        seed = self._seed + (self._first + request.sampling.episode) * EPISODE
        return random.Random(f"{seed} {len(request.ids)}")


class _Sampler(LogitsProcessor):
    """Draws one token for each row, by the inverse of its distribution's cumulative sum.

    Attributes:
        chosen: for each token so far its log-probabilities [rows].
    """

    def __init__(self, sampling: Sampling, draws: Sequence[random.Random]) -> None:
        self._temperature, self._draws = sampling.temperature, draws
        self.chosen: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        # At temperature 0 the likeliest token has its probability at temperature 1.
        logp = (scores.float() / (self._temperature or 1.0)).log_softmax(-1)
        token = self._draw(logp) if self._temperature > 0 else logp.argmax(-1, keepdim=True)
        self.chosen.append(logp.gather(-1, token).squeeze(-1))
        return torch.full_like(logp, -torch.inf).scatter_(-1, token, 0.0)

    def _draw(self, logp: Tensor) -> Tensor:
        """Tokens [rows, 1]."""
        sums = logp.double().exp().cumsum(-1)
        drawn = torch.tensor([rng.random() for rng in self._draws], dtype=sums.dtype)
        part = drawn.to(sums.device)[:, None] * sums[:, -1:]
        return torch.searchsorted(sums, part, right=True).clamp_(max=sums.shape[-1] - 1)


@contextmanager
def _in_evaluation(model: Any) -> Iterator[None]:
    """Without dropout, and without what its `generation_config` would fill in."""
    training, own = model.training, model.generation_config
    model.eval()
    model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        model.train(training)
        model.generation_config = own


def _cast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def _end(ids: list[int], sampling: Sampling) -> int:
    """The length of a row; the batch is as long as its longest row."""
    stop = next((i for i, token in enumerate(ids) if token in sampling.stop_ids), len(ids))
    return min(stop + 1, len(ids))
