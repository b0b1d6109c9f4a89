"""How right the forecasts of variants' first groups were (`rods.curriculum.forecast`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from rods.comparison.result import Calibration
from rods.group import Group, Signal

EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)  # least forecast signal of each bin


class _Pair(NamedTuple):
    mean: float
    signal: float
    group: Group


def calibrations(
    lines: Iterable[Mapping[str, Any]], firsts: Mapping[str, Group]
) -> tuple[Calibration, ...]:
    """The bins that have groups, by their edge.

    Args:
        lines: the metrics of each step; "forecasts" has the mean and the signal that were forecast
            for each variant whose first group came at that step.
        firsts: first complete group of each task.
    """
    made = {task: found for line in lines for task, found in (line.get("forecasts") or {}).items()}
    pairs = [_Pair(m, s, firsts[task]) for task, (m, s) in made.items() if task in firsts]
    return tuple(_bin(least, some) for least in EDGES if (some := _within(pairs, least)))


def joined(runs: Sequence[Sequence[Calibration]]) -> tuple[Calibration, ...]:
    """The bins of several runs together, weighted by their groups."""
    return tuple(
        _joined([one for run in runs for one in run if one.least == least])
        for least in EDGES
        if any(one.least == least for run in runs for one in run)
    )


def _within(pairs: Sequence[_Pair], least: float) -> list[_Pair]:
    return [p for p in pairs if max(e for e in EDGES if e <= p.signal) == least]


def _bin(least: float, pairs: Sequence[_Pair]) -> Calibration:
    return Calibration(
        least=least,
        groups=len(pairs),
        expected_signal=fmean(p.signal for p in pairs),
        signal=fmean(p.group.signal is Signal.SIGNAL for p in pairs),
        expected_mean=fmean(p.mean for p in pairs),
        mean=fmean(p.group.mean for p in pairs),
    )


def _joined(bins: Sequence[Calibration]) -> Calibration:
    groups = sum(one.groups for one in bins)
    names = ("expected_signal", "signal", "expected_mean", "mean")
    means = {n: sum(getattr(one, n) * one.groups for one in bins) / groups for n in names}
    return Calibration(least=bins[0].least, groups=groups, **means)
