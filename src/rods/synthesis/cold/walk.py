"""A walk: calls of a shape, made one after the other in a session, each tried on a fork first.

Some of the calls are the chain: each takes a value that the one before it has shown. The others use
what is known. A call that does not succeed, shows nothing, changes nothing though it writes, or
takes back what was done is left out, and another is tried.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rods.envs.base import Environment
from rods.flows import find_links
from rods.synthesis.cold.arguments import Proposer
from rods.synthesis.cold.ladder import Shape
from rods.synthesis.cold.steps import START_OF_CHAIN, Steps
from rods.synthesis.cold.survey import Done, Survey
from rods.synthesis.cold.trial import opened
from rods.synthesis.meaning.ranges import Ranges
from rods.synthesis.toolgraph import UNPLANNED
from rods.task import Task

WHOLE = 0.7  # share of walks that begin with their chain, and of those that end with it


@dataclass
class Walker:
    """Makes walks."""

    env: Environment
    survey: Survey
    ranges: Ranges

    def __post_init__(self) -> None:
        self._proposer = Proposer(self.ranges, self.survey.opened, self.survey.suited)
        self._reach = {n: r for n, r in self.survey.reach().items() if n not in UNPLANNED}

    def walk(self, start: Task, shape: Shape, rng: random.Random) -> list[Done]:
        """The calls of a walk with their responses.

        Raises:
            SynthesisError: for some call none was found.
        """
        chain = sorted(rng.sample(range(shape.calls), shape.depth))
        if rng.random() < WHOLE:
            chain[0] = 0
        if rng.random() < WHOLE and shape.depth > 1:
            chain[-1] = shape.calls - 1
        session = opened(start, self.env)
        steps = Steps(self.survey, self._proposer, self._reach, session, rng)
        try:
            linked = START_OF_CHAIN
            for position in range(shape.calls):
                if position in chain:
                    left = shape.depth - chain.index(position)
                    linked = steps.chained(linked, left)
                else:
                    steps.beside(_turn(shape, position))
            return steps.done
        finally:
            steps.session.close()


def _turn(shape: Shape, position: int) -> int:
    """The position of the first call of the turn that a call is in."""
    first = 0
    for size in shape.sizes:
        if position < first + size:
            return first
        first += size
    return first


def sources_of(done: Sequence[Done]) -> list[Mapping[str, tuple[tuple[int, str], ...]]]:
    """For each call of a walk the places of earlier responses that its values came from."""
    found: list[dict[str, tuple[tuple[int, str], ...]]] = [{} for _ in done]
    for link in find_links([call for call, _ in done], [[text] for _, text in done]):
        row = found[link.consumer]
        row[link.parameter] = (*row.get(link.parameter, ()), (link.producer, link.key))
    return list(found)
