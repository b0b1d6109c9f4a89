"""The figures of a comparison as PNG files, from its compact results.

    rods compare --report results/arms
    python experiments/comparison_figures.py results/arms    # writes results/arms/*.png

Needs matplotlib, which is among the development packages.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

from rods.charts.style import CURVES
from rods.comparison.analysis import Arms, analyse, by_arm
from rods.comparison.curves import ACTIVE, SIGNAL, mean_curve
from rods.comparison.folder import read_results
from rods.comparison.result import HIGH, LOW
from rods.errors import UserError
from rods.evaluation.table import COMPLETE

WIDTH, HEIGHT = 7.2, 4.2  # inches
DPI = 150
STYLES = ("-", "--", ":", "-.")


def colour(place: int) -> str:
    """Of the arm at a place."""
    return CURVES[place % len(CURVES)]


def intervals(found: Mapping[str, Any]) -> plt.Figure:
    """Complete tasks of each arm after training, with 95 % intervals."""
    arms = found["arms"]
    figure, axes = plt.subplots(figsize=(WIDTH, 0.32 * len(arms) + 1.2))
    for place, arm in enumerate(reversed(arms.values())):
        one = arm[COMPLETE]
        axes.plot(one["mean"], place, "o", color=CURVES[0])
        if one["low"] is not None:
            axes.plot([one["low"], one["high"]], [place, place], color=CURVES[0], linewidth=2)
        before = arm["complete_before"]
        if before is not None:
            axes.plot(before, place, "|", color="grey")
        axes.text(1.01, place, f"{arm['seeds']} seeds", transform=axes.get_yaxis_transform())
    axes.set_yticks(range(len(arms)), list(reversed(arms)))
    axes.set_xlabel(f"complete, {found['side']} side; grey: before training")
    axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    axes.grid(axis="x", alpha=0.3)
    return figure


def curves(arms: Arms, column: str, title: str) -> plt.Figure:
    """A column over trajectories; the band has the least and the largest value of a seed."""
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT))
    for place, (name, runs) in enumerate(arms.items()):
        points = mean_curve(runs, column)
        xs = [p.trajectories for p in points]
        style = STYLES[place // len(CURVES) % len(STYLES)]
        axes.plot(xs, [p.mean for p in points], style, color=colour(place), label=name)
        if len(runs) > 1 and len(arms) <= 4:
            low, high = [p.low for p in points], [p.high for p in points]
            axes.fill_between(xs, low, high, color=colour(place), alpha=0.15)
    axes.set_xlabel("trajectories")
    axes.set_ylabel(title)
    if column != ACTIVE:
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", ncols=2)
    return figure


def landings(arms: Arms) -> plt.Figure:
    """First groups of variants with signal, and with a mean in the zone, by thirds of the run."""
    made = {name: runs for name, runs in arms.items() if any(r.variants.all.groups for r in runs)}
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, HEIGHT), sharey=True)
    titles = {"signal": "with signal", "in_zone": f"mean within [{LOW}, {HIGH}]"}
    for axes, (key, title) in zip(panels, titles.items(), strict=True):
        for place, (name, runs) in enumerate(made.items()):
            thirds = list(zip(*(run.variants.thirds for run in runs), strict=True))
            shares = [_mean([getattr(one, key) for one in third]) for third in thirds]
            style = STYLES[place // len(CURVES) % len(STYLES)]
            axes.plot((1, 2, 3), shares, style + "o", color=colour(place), label=name, markersize=4)
        axes.set_title(title, fontsize="medium")
        axes.set_xticks((1, 2, 3))
        axes.set_xlabel("third of the run")
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
        axes.grid(alpha=0.3)
    panels[1].legend(fontsize="small")
    return figure


def calibration(found: Mapping[str, Any]) -> plt.Figure:
    """Forecast and observed shares of first groups with signal."""
    figure, axes = plt.subplots(figsize=(HEIGHT, HEIGHT))
    forecasting = {name: arm for name, arm in found["arms"].items() if arm["forecasts"]}
    for place, (name, arm) in enumerate(forecasting.items()):
        bins = arm["forecasts"]
        xs, ys = [b["expected_signal"] for b in bins], [b["signal"] for b in bins]
        axes.plot(xs, ys, "o-", color=colour(place), label=name, markersize=4)
    axes.plot((0, 1), (0, 1), ":", color="grey")
    axes.set_xlabel("forecast probability of signal")
    axes.set_ylabel("share with signal")
    axes.grid(alpha=0.3)
    if forecasting:
        axes.legend(fontsize="small")
    return figure


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arms", help="only these, with commas, in the figures of curves")
    options = parser.parse_args()
    try:
        results = read_results(options.folder)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    mpl.use("agg")
    found, arms = analyse(results), by_arm(results)
    chosen = options.arms.split(",") if options.arms else list(arms)
    shown = {name: runs for name, runs in arms.items() if name in chosen}
    made = {
        "arms": intervals(found),
        "complete": curves(shown, COMPLETE, "validation tasks complete"),
        "signal": curves(shown, SIGNAL, "groups with signal"),
        "active": curves(shown, ACTIVE, "tasks in the pool"),
        "landings": landings(shown),
        "calibration": calibration(found),
    }
    for name, figure in made.items():
        figure.savefig(options.folder / f"{name}.png", dpi=DPI, bbox_inches="tight")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
