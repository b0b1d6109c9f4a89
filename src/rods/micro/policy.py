"""The micro policy: samples the actions of a batch with a cache that lives as long as it plays."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rods.micro.model import MicroForCausalLM
from rods.micro.renderer import MicroRenderer
from rods.micro.sampler import MicroSampler
from rods.rollout.gathering import Gathering, Request
from rods.rollout.policy import Generation


class MicroPolicy(Gathering):
    """Samples from a model; `seeded` fixes the draws from there on.

    Args:
        rows: most episodes that play at once.
        context: most tokens of an episode.
    """

    def __init__(
        self, model: MicroForCausalLM, renderer: MicroRenderer, rows: int, context: int
    ) -> None:
        super().__init__()
        self.model, self._version = model, 0
        self._rng = torch.Generator()
        pad = renderer.tokenizer.pad_id
        self._sampler = MicroSampler(model, pad, renderer.stop_ids, rows, context)

    def seeded(self, seed: int, version: int = 0) -> MicroPolicy:
        """Itself, with new draws and, of weights that may be new, their version."""
        self.model.train(False)
        self._rng.manual_seed(seed)
        self._version = version
        return self

    def enter(self, episodes: int) -> None:
        if not self.playing:  # else it is refused, and the others keep their cache
            self._sampler.start(episodes)
        super().enter(episodes)

    def answer(self, requests: Sequence[Request]) -> list[Generation]:
        asked = [request.sampling for request in requests]
        made = self._sampler.generate(
            [request.ids for request in requests],
            max(sampling.max_tokens for sampling in asked),
            asked[0].temperature,
            self._rng,
            [sampling.episode for sampling in asked],
        )
        return [Generation(ids, logprobs, self._version) for ids, logprobs in made]
