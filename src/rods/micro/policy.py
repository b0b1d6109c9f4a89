"""The micro policy as a `Policy`: samples whole actions with a cache that lives for a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rods.config import RolloutConfig
from rods.micro.dialect import MicroDialect
from rods.micro.model import MicroForCausalLM
from rods.micro.sampler import MicroSampler


class MicroPolicy:
    """Implements `rods.rollout.runner.Policy`; `seeded` fixes the draws of the next batch."""

    def __init__(
        self, model: MicroForCausalLM, dialect: MicroDialect, config: RolloutConfig, rows: int
    ) -> None:
        self.model, self._config = model, config
        self._rng = torch.Generator()
        self._sampler = MicroSampler(
            model,
            dialect.tokenizer.pad_id,
            dialect.stop_ids,
            capacity_rows=rows,
            context=config.token_budget,
        )

    def seeded(self, seed: int) -> MicroPolicy:
        self.model.train(False)
        self._rng.manual_seed(seed)
        return self

    def start(self, rows: int) -> None:
        self._sampler.start(rows)

    def generate(
        self, histories: Sequence[Sequence[int]], rows: Sequence[int]
    ) -> list[tuple[list[int], list[float]]]:
        return self._sampler.generate(
            histories, self._config.action_tokens, self._config.temperature, self._rng, rows
        )
