"""Curves over trajectories: means over the random seeds of an arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rods.comparison.result import RunResult

SIGNAL, ACTIVE = "signal", "active"
BY_EPOCH = (SIGNAL, ACTIVE)


class MeanPoint(NamedTuple):
    """A point of the mean curve, with the least and the largest value of a seed."""

    trajectories: int
    mean: float
    low: float
    high: float


def mean_curve(runs: Sequence[RunResult], column: str) -> list[MeanPoint]:
    """The mean over runs at each point that one of them has, where all of them are known.

    A run is interpolated between its own points.

    Args:
        column: "progress" or "complete" of the validation side, or one of `BY_EPOCH`.
    """
    curves = [curve for run in runs if (curve := _curve(run, column))]
    if not curves:
        return []
    first = max(curve[0][0] for curve in curves)
    last = min(curve[-1][0] for curve in curves)
    places = sorted({x for curve in curves for x, _ in curve if first <= x <= last})
    values = np.array(
        [np.interp(places, [x for x, _ in curve], [y for _, y in curve]) for curve in curves]
    )
    return [
        MeanPoint(x, float(found.mean()), float(found.min()), float(found.max()))
        for x, found in zip(places, values.T, strict=True)
    ]


def first_reaching(curve: Sequence[MeanPoint], value: float) -> int | None:
    """Trajectories at the first point whose mean is at least the value; None if none is."""
    return next((point.trajectories for point in curve if point.mean >= value), None)


def _curve(run: RunResult, column: str) -> list[tuple[int, float]]:
    points = run.by_epoch if column in BY_EPOCH else run.curve
    return [(point.trajectories, float(getattr(point, column))) for point in points]
