"""The ladder of difficulty: rungs from one call to a chain of four, with equally many jobs each.

A policy that can do little finds its first reward on the low rungs, and one that can do more finds
a boundary higher up. A rung has several shapes, of which each job draws one.
"""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    """The calls of each turn, and the calls on the longest chain of dependencies.

    `depth` is `Profile.depth`, over value and state edges.
    """

    sizes: tuple[int, ...]
    depth: int

    @property
    def calls(self) -> int:
        return sum(self.sizes)


class Rung(NamedTuple):
    """One step of the ladder; its name is the `note` of each of its tasks."""

    name: str
    shapes: tuple[Shape, ...]

    @property
    def depth(self) -> int:
        """The same for all its shapes."""
        return self.shapes[0].depth


def _rung(name: str, depth: int, *sizes: tuple[int, ...]) -> Rung:
    return Rung(name, tuple(Shape(each, depth) for each in sizes))


LADDER = (
    _rung("one call", 1, (1,)),
    _rung("two calls in one turn", 2, (2,)),
    _rung("two turns", 2, (1, 1), (2, 1), (1, 2)),
    _rung("a chain of three", 3, (3,), (2, 1), (1, 2), (1, 1, 1)),
    _rung("three turns", 3, (2, 1, 1), (1, 2, 1), (1, 1, 2)),
    _rung("a chain of four", 4, (2, 2), (2, 1, 1), (1, 2, 1), (1, 1, 1, 1), (1, 1, 2, 1)),
)
BY_NAME = {rung.name: rung for rung in LADDER}
