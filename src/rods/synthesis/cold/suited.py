"""Which ids a tool takes in a start state: an order that is pending, an invoice that is open."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from rods.envs.state import State
from rods.flows import parts
from rods.synthesis.cold.known import Known, is_id
from rods.task import Call

REFUSALS = 2  # of a value after which it counts as refused
ANYWAY = 0.1  # share of choices that ignore it, since earlier calls may have changed it
Place = tuple[str, str, str]  # digest of the start state, tool, parameter


@dataclass
class Suited:
    """What the survey's calls have shown."""

    _taken: dict[Place, set[str]] = field(default_factory=lambda: defaultdict(set))
    _refused: dict[Place, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def note(self, start: State, call: Call, *, taken: bool) -> None:
        """Add the outcome of a call that was the first in a start state."""
        for parameter, value in parts(call.arguments):
            name = parameter.removesuffix("[]")
            if is_id(name) and taken:
                self._taken[start.digest, call.name, name].add(str(value))
            elif is_id(name):
                self._refused[start.digest, call.name, name][str(value)] += 1

    def taken(self, start: State, tool: str, parameter: str) -> int:
        """How many values of a parameter were taken."""
        return len(self._taken.get((start.digest, tool, parameter), ()))

    def refused(self, start: State, tool: str) -> bool:
        """Whether a call of a tool failed."""
        digest = start.digest
        return any(key[:2] == (digest, tool) for key in self._refused)

    def without_refused(
        self,
        start: State,
        tool: str,
        parameter: str,
        values: Sequence[Known],
        rng: random.Random,
    ) -> Sequence[Known]:
        """The values that were not refused; most of the time, and if there are any."""
        place = start.digest, tool, parameter
        if place not in self._refused or rng.random() < ANYWAY:
            return values
        taken, counts = self._taken.get(place, set()), self._refused[place]
        left = [v for v in values if str(v.value) in taken or counts[str(v.value)] < REFUSALS]
        return left or values
