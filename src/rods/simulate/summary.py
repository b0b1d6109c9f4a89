"""What a study says: each measure by configuration, and its difference to the first one."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any, NamedTuple

from rods.simulate.estimate import Estimate, difference, estimate
from rods.simulate.measures import Point
from rods.simulate.study import Result, Study

CURVES = (
    *("signal", "solved", "failed", "constant", "reward", "progress", "complete"),
    *("mastered", "seeds_mastered", "pool", "generated", "injected"),
)
COMPARED = ("progress", "complete", "mastered", "seeds_mastered")


class Row(NamedTuple):
    """A configuration at the end of its budget.

    Attributes:
        final: measure -> its value, one a seed.
        differences: measure -> paired difference to the first configuration; empty for that one.
        curve: measure -> estimates over seeds, one a point.
    """

    name: str
    final: dict[str, list[float]]
    differences: dict[str, Estimate]
    trajectories: list[int]
    curve: dict[str, list[Estimate]]
    retired: dict[str, float]


def summarise(results: Sequence[Result]) -> list[Row]:
    """A row a configuration, in their order."""
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
    """The study for programs; what was not measured is null."""
    return {
        "trajectories": study.trajectories,
        "seeds": list(study.seeds),
        "configurations": [
            {
                "name": row.name,
                "final": {
                    name: {**_told(estimate(values)), "values": [_round(v) for v in values]}
                    for name, values in row.final.items()
                },
                "retired": {reason: _round(n) for reason, n in row.retired.items()},
                "differences": {name: _told(e) for name, e in row.differences.items()},
                "curve": {
                    "trajectories": row.trajectories,
                    **{name: [_told(e) for e in found] for name, found in row.curve.items()},
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


def _told(found: Estimate) -> dict[str, float | None]:
    return {name: _round(value) for name, value in found._asdict().items()}


def _round(value: float | None) -> float | None:
    return None if value is None or isnan(value) else round(value, 5)
