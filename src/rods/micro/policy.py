"""The micro policy: samples the actions of a batch, with a cache that lives as long as it plays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from rods.config import Config
from rods.micro.model import MicroForCausalLM
from rods.micro.renderer import MicroRenderer
from rods.micro.sampler import MicroSampler
from rods.policies.registry import LoadedPolicy
from rods.rollout.gathering import Gathering, Request
from rods.rollout.policy import Generation


def load_policy(weights: Path, renderer: MicroRenderer, config: Config) -> LoadedPolicy:
    """The policy of a run.

    Args:
        weights: a `save_pretrained` folder.
    """
    torch.set_num_threads(min(2, torch.get_num_threads()))  # more are no faster at this size
    model, rollout = MicroForCausalLM.from_pretrained(weights), config.rollout
    policy = MicroPolicy(model, renderer, rollout.at_once, rollout.token_budget)
    tokenizer = renderer.tokenizer.to_transformers(renderer.eos)
    return LoadedPolicy(renderer, model, tokenizer, policy.seeded)


class MicroPolicy(Gathering):
    """Samples from a model. `seeded` sets the random seed of the draws that follow.

    Args:
        rows: most episodes that are played together.
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
        """Itself, with a new random seed and with the version of the weights."""
        self._rng.manual_seed(seed)
        self._version = version
        return self

    def enter(self, episodes: int) -> None:
        if not self.playing:  # else super() refuses, and the others keep their cache
            self._sampler.start(episodes)
        super().enter(episodes)

    def answer(self, requests: Sequence[Request]) -> list[Generation]:
        asked = [request.sampling for request in requests]
        rows = [sampling.episode for sampling in asked]
        if not self.playing:  # the cache has no rows, or those of episodes that are over
            self._sampler.start(len(requests))
            rows = list(range(len(requests)))
        made = self._sampler.generate(
            [request.ids for request in requests],
            max(sampling.max_tokens for sampling in asked),
            asked[0].temperature,
            self._rng,
            rows,
        )
        return [
            Generation(ids[: one.max_tokens], logprobs[: one.max_tokens], self._version)
            for one, (ids, logprobs) in zip(asked, made, strict=True)
        ]
