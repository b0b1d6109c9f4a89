"""Results of a study: each measure by configuration, and its difference to the first one.

A mean over random seeds has a 95 % interval by Student's t. All configurations are simulated with
the same random seeds, thus the same worlds. So a difference is taken seed by seed; the interval of
these paired differences is narrower than the two separate intervals suggest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isnan
from statistics import fmean, stdev
from typing import Any, NamedTuple

from mpmath import betainc, findroot  # type: ignore[import-untyped]

from rods.simulate.measures import Point
from rods.simulate.study import Result, Study

CURVES = (
    *("signal", "solved", "failed", "constant", "reward", "progress", "complete"),
    *("mastered", "seeds_mastered", "pool", "generated", "injected"),
)
COMPARED = ("progress", "complete", "mastered", "seeds_mastered")
LEVEL = 0.95  # of the intervals
HEADER = ("configuration", "progress", "mastered", "difference", "signal", "injected", "retired")
READ = (
    "Held-out progress and held-out tasks mastered at the end of the budget: means over random"
    " seeds, with half of a 95 % interval. The difference, in tasks mastered, is to the first line,"
    " paired by seed. Signal: share of groups whose rewards differ, in the first and the last pass."
)
"""The columns of a study's table, and how to read them."""


class Estimate(NamedTuple):
    """A mean and its interval, which is missing where fewer than two values are known."""

    mean: float
    low: float | None = None
    high: float | None = None


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of one or more values, one for each random seed, with its interval."""
    mean = fmean(values)
    if len(values) < 2 or isnan(mean):
        return Estimate(mean)
    half = _quantile(len(values) - 1) * stdev(values) / len(values) ** 0.5
    return Estimate(mean, mean - half, mean + half)


def difference(values: Sequence[float], base: Sequence[float]) -> Estimate:
    """The mean of `values` - `base`, paired by random seed.

    Raises:
        ValueError: there are not as many of both.
    """
    return estimate([one - other for one, other in zip(values, base, strict=True)])


@lru_cache
def _quantile(freedom: int) -> float:
    """The t for which `LEVEL` of Student's distribution lies within [-t, t]."""

    def excess(t: float) -> float:
        outside = betainc(freedom / 2, 0.5, 0, freedom / (freedom + t * t), regularized=True)
        return float(outside) - (1 - LEVEL)

    return float(findroot(excess, (1.5, 15.0), solver="anderson"))


class Row(NamedTuple):
    """A configuration at the end of its budget.

    Attributes:
        final: measure -> its values, one for each random seed.
        differences: measure -> paired difference to the first configuration; empty for that one.
        curve: measure -> estimates over random seeds, one for each point.
        retired: reason -> tasks, mean over random seeds.
    """

    name: str
    final: dict[str, list[float]]
    differences: dict[str, Estimate]
    trajectories: list[int]
    curve: dict[str, list[Estimate]]
    retired: dict[str, float]


def summarise(results: Sequence[Result]) -> list[Row]:
    """A row for each configuration, in their order."""
    finals = [_final(result.curves) for result in results]
    rows = []
    for place, (result, final) in enumerate(zip(results, finals, strict=True)):
        against = finals[0] if place else {}
        rows.append(
            Row(
                result.setup.name,
                final,
                {name: difference(final[name], against[name]) for name in COMPARED if against},
                [point.trajectories for point in result.curves[0]],
                {name: _curve(result.curves, name) for name in CURVES},
                _retired(result.curves),
            )
        )
    return rows


def as_json(rows: Sequence[Row], study: Study) -> dict[str, Any]:
    """The study as plain data; what was not measured is None."""
    return {
        "trajectories": study.trajectories,
        "seeds": list(study.seeds),
        "configurations": [
            {
                "name": row.name,
                "final": {
                    name: {**_plain(estimate(values)), "values": [_round(v) for v in values]}
                    for name, values in row.final.items()
                },
                "retired": {reason: _round(n) for reason, n in row.retired.items()},
                "differences": {name: _plain(e) for name, e in row.differences.items()},
                "curve": {
                    "trajectories": row.trajectories,
                    **{name: [_plain(e) for e in found] for name, found in row.curve.items()},
                },
            }
            for row in rows
        ],
    }


def _final(curves: Sequence[Sequence[Point]]) -> dict[str, list[float]]:
    final = {name: [float(getattr(curve[-1], name)) for curve in curves] for name in CURVES}
    final["signal_first"] = [curve[min(1, len(curve) - 1)].signal for curve in curves]
    final["retired"] = [float(sum(curve[-1].retired.values())) for curve in curves]
    return final


def _curve(curves: Sequence[Sequence[Point]], name: str) -> list[Estimate]:
    return [
        estimate([float(getattr(point, name)) for point in points])
        for points in zip(*curves, strict=True)
    ]


def _retired(curves: Sequence[Sequence[Point]]) -> dict[str, float]:
    """Reason -> mean over seeds."""
    reasons = sorted({reason for curve in curves for reason in curve[-1].retired})
    return {r: sum(c[-1].retired.get(r, 0) for c in curves) / len(curves) for r in reasons}


def _plain(found: Estimate) -> dict[str, float | None]:
    return {name: _round(value) for name, value in found._asdict().items()}


def _round(value: float | None) -> float | None:
    return None if value is None or isnan(value) else round(value, 5)


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The table's rows, as texts under `HEADER`."""
    return [_cells(row) for row in rows]


def _cells(row: Row) -> tuple[str, ...]:
    found = {name: estimate(values) for name, values in row.final.items()}
    mastered = row.differences.get("mastered")
    return (
        row.name,
        _text(found["progress"], ".3f"),
        _text(found["mastered"], ".0f"),
        _text(mastered, "+.0f") if mastered else "-",
        f"{found['signal_first'].mean:.0%}→{found['signal'].mean:.0%}",
        f"{found['injected'].mean:.0f}",
        f"{found['retired'].mean:.0f}",
    )


def _text(found: Estimate, form: str) -> str:
    mean = f"{found.mean:{form}}"
    if found.high is None:
        return mean
    return f"{mean}±{found.high - found.mean:{form.removeprefix('+')}}"
