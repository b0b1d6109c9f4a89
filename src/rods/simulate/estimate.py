"""Means over random seeds with 95 % intervals by Student's t.

Configurations are compared on the same seeds, thus the same worlds: the interval of a difference is
that of the paired differences, which is narrower than two intervals side by side suggest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isnan
from statistics import fmean, stdev
from typing import NamedTuple

from mpmath import betainc, findroot  # type: ignore[import-untyped]

LEVEL = 0.95


class Estimate(NamedTuple):
    """A mean and its interval; without an interval where one value or none is known."""

    mean: float
    low: float | None = None
    high: float | None = None


def estimate(values: Sequence[float]) -> Estimate:
    """Mean of at least one value, one a seed, with its interval."""
    mean = fmean(values)
    if len(values) < 2 or isnan(mean):
        return Estimate(mean)
    half = _quantile(len(values) - 1) * stdev(values) / len(values) ** 0.5
    return Estimate(mean, mean - half, mean + half)


def difference(values: Sequence[float], base: Sequence[float]) -> Estimate:
    """Of `values` to `base`, seed by seed.

    Raises:
        ValueError: they are not of the same seeds.
    """
    return estimate([one - other for one, other in zip(values, base, strict=True)])


@lru_cache
def _quantile(freedom: int) -> float:
    """The t within which `LEVEL` of Student's distribution lies on both sides."""

    def excess(t: float) -> float:
        outside = betainc(freedom / 2, 0.5, 0, freedom / (freedom + t * t), regularized=True)
        return float(outside) - (1 - LEVEL)

    return float(findroot(excess, (1.5, 15.0), solver="anderson"))
