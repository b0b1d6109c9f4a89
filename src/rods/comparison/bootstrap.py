"""Means over tasks and random seeds, with bootstrap intervals.

Values have the shape [seeds, tasks] in each category. In each draw the seeds are drawn with
replacement, and so are the tasks within each category; all categories have the same drawn seeds.
The value of a draw is the mean over categories of the mean over drawn seeds and tasks.

A bootstrap of n seeds is too narrow: its variance is that of the mean times (n - 1) / n. So each
seed's deviation from the mean over seeds is scaled by sqrt(n / (n - 1)) before the draws. With one
seed nothing is known about seeds, and the interval covers tasks only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rods.evaluation.table import DRAWS, MIDDLE, Interval

Values = NDArray[np.float64]
SEEDS = ""  # names the draws of seeds; no category has this name


def interval(parts: Mapping[str, Values]) -> Interval:
    """The mean over categories, and the middle 95 % of the draws.

    The draws depend only on the categories' names and the shapes. So the same values give the same
    numbers, and a constant that is added to all values moves the mean and the bounds by itself.

    Args:
        parts: category -> values [seeds, tasks], as many seeds in each; at least one of each.

    Returns:
        The bounds are None if a category has fewer than two tasks.
    """
    mean = float(np.mean([values.mean() for values in parts.values()]))
    if any(values.shape[1] < 2 for values in parts.values()):
        return Interval(mean, None, None)
    drawn = np.mean([_draws(name, values) for name, values in sorted(parts.items())], axis=0)
    low, high = np.percentile(drawn, MIDDLE)
    return Interval(mean, float(low), float(high))


def _draws(name: str, values: Values) -> Values:
    """The category's value in each draw, shape [DRAWS]."""
    seeds, tasks = values.shape
    by_seed = _counts(name, tasks) @ widened(values).T / tasks
    drawn: Values = (by_seed * _counts(SEEDS, seeds)).sum(axis=1) / seeds
    return drawn


def widened(values: Values) -> Values:
    """Each seed's deviation from the mean over seeds is scaled by sqrt(n / (n - 1))."""
    seeds = len(values)
    if seeds < 2:
        return values
    middle = values.mean(axis=0)
    scaled: Values = middle + (values - middle) * np.sqrt(seeds / (seeds - 1))
    return scaled


@lru_cache(maxsize=16)
def _counts(name: str, size: int) -> Values:
    """How often each of `size` things is drawn, in each draw: shape [DRAWS, size]."""
    rng = np.random.default_rng([size, *name.encode()])
    return rng.multinomial(size, [1 / size] * size, size=DRAWS).astype(np.float64)
