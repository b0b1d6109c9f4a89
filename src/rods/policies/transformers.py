"""Any causal language model of `transformers` as a policy, by its own `generate`.

The model's `generation_config` (a top-k, a penalty) is not used: training needs the
log-probabilities of the distribution that was sampled from, and that is the model's at the given
temperature. A batch is computed from its first token on; no cache outlives an action.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from rods.rollout.gathering import Gathering, Request
from rods.rollout.policy import Generation, Sampling


class TransformersPolicy(Gathering):
    """Samples from a model. `seeded` sets the random seed of the draws that follow.

    Args:
        model: with `generate`, on any one device.
        pad_id: of a token that fills up shorter histories on the left; it is masked out.
        rows: most episodes in one call of `generate`, which all have the same sampling.
    """

    def __init__(self, model: Any, pad_id: int, rows: int = 64) -> None:
        super().__init__()
        self.model, self._pad_id, self._rows = model, pad_id, rows
        self._rng, self._version = random.Random(0), 0

    def seeded(self, seed: int, version: int = 0) -> TransformersPolicy:
        """Itself, with a new random seed and with the version of the weights."""
        self._rng, self._version = random.Random(seed), version
        return self

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
        device, recorder = self.model.device, _Recorder(sampling.temperature)
        with _in_evaluation(self.model), _own_draws(self._rng.getrandbits(63), device):
            whole = self.model.generate(
                input_ids=torch.tensor(rows, device=device),
                attention_mask=torch.tensor(real, device=device),
                generation_config=_plainly(sampling, self._pad_id),
                logits_processor=LogitsProcessorList([recorder]),
            )
        ids = whole[:, width:].tolist()
        logprobs = recorder.finish(whole).tolist()
        return [
            Generation(row[: _end(row, sampling)], chosen[: _end(row, sampling)], self._version)
            for row, chosen in zip(ids, logprobs, strict=True)
        ]


class _Recorder(LogitsProcessor):
    """Keeps the log-probabilities of the sampled tokens, and the last distribution."""

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature
        self._last: Tensor | None = None
        self._chosen: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self._choose(input_ids)
        # At temperature 0 the likeliest token has its probability at temperature 1.
        self._last = (scores.float() / (self._temperature or 1.0)).log_softmax(-1)
        return self._last

    def finish(self, input_ids: Tensor) -> Tensor:
        """Log-probabilities [rows, new tokens]."""
        self._choose(input_ids)
        return torch.stack(self._chosen, 1)

    def _choose(self, input_ids: Tensor) -> None:
        if self._last is not None:
            self._chosen.append(self._last.gather(-1, input_ids[:, -1:]).squeeze(-1))


def _plainly(sampling: Sampling, pad_id: int) -> GenerationConfig:
    """The model's own distribution; the recorder applies the temperature."""
    drawn = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    return GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=sampling.max_tokens,
        eos_token_id=list(sampling.stop_ids),
        pad_token_id=pad_id,
        **(drawn if sampling.temperature > 0 else {"do_sample": False}),
    )


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


@contextmanager
def _own_draws(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers that no other code draws from."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def _end(ids: list[int], sampling: Sampling) -> int:
    """The length of a row; the batch is as long as its longest row."""
    stop = next((i for i, token in enumerate(ids) if token in sampling.stop_ids), len(ids))
    return min(stop + 1, len(ids))
