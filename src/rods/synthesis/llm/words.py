"""The words of one task by a model, as augmentation uses them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rods.grounding import stated
from rods.provenance import leaves
from rods.synthesis.stages import Executed
from rods.task import Call

if TYPE_CHECKING:  # it makes them
    from rods.synthesis.llm.grounder import LlmGrounder


@dataclass
class LlmWords:
    """See `stages.Words`.

    Args:
        grounder: wrote them, and writes them again without a value.
        queries: the words of each turn.
    """

    grounder: LlmGrounder
    executed: Executed
    queries: list[str]
    rng: random.Random
    _answers: dict[tuple[int, str], str] = field(default_factory=dict)

    def turn(self, index: int, missing: tuple[int, str] | None = None) -> str:
        if missing is None:
            return self.queries[index]
        which, name = missing
        before = self.queries[:index]
        query, answer = self.grounder.without(self.executed, index, missing, before, self.rng)
        self._answers[id(self.executed.calls[index][which]), name] = answer
        return query

    def stated(self, index: int) -> list[tuple[int, str]]:
        return [
            (which, name)
            for which, call in enumerate(self.executed.calls[index])
            for name, value in call.arguments.items()
            if all(stated(leaf, self.queries[index]) for leaf in leaves(value))
        ]

    def answer(self, call: Call, parameter: str) -> str:
        return self._answers[id(call), parameter]
