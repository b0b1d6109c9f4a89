"""Neighbouring places of an axis as one: a long run has no more marks than a page can show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

BARS = 80
POINTS = 400

Value = TypeVar("Value")


class Bucket(NamedTuple):
    """Places `first` up to `last`, both included."""

    first: int
    last: int

    @property
    def middle(self) -> float:
        return (self.first + self.last) / 2

    @property
    def name(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"


def width_of(places: Iterable[int], most: int) -> int:
    """How many neighbouring places are one, if at most so many are shown."""
    found = list(places)
    return max(1, -(-(max(found) - min(found) + 1) // most)) if found else 1


def bucketed(values: Mapping[int, Value], most: int) -> dict[Bucket, list[Value]]:
    """The values by bucket, in order; buckets without values are left out."""
    width = width_of(values, most)
    found: dict[Bucket, list[Value]] = {}
    for place in sorted(values):
        first = place - place % width
        found.setdefault(Bucket(first, first + width - 1), []).append(values[place])
    return found
