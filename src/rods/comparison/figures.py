"""Figures of a comparison's page."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from rods.charts.axis import number, percent, share
from rods.charts.chart import Band, Chart, Line, Measure, Rows, curves
from rods.charts.style import CURVES, curve_of
from rods.comparison.analysis import Arms
from rods.comparison.curves import ACTIVE, SIGNAL, mean_curve
from rods.comparison.result import HIGH, LOW, RunResult
from rods.evaluation.table import COMPLETE, PROGRESS
from rods.report.sections import Section, section

BAND = " The line is the mean over seeds, the band their least and largest value."


def sections(arms: Arms) -> list[Section]:
    """All figures of the page."""
    places = {name: place for place, name in enumerate(arms)}
    about = {
        COMPLETE: ("Validation tasks completed", "Share of episodes with every turn passed."),
        PROGRESS: ("Validation progress", "Mean share of turns passed."),
        SIGNAL: (
            "Groups with signal",
            "Share of each epoch's groups whose rewards differ, at the epoch's first step.",
        ),
        ACTIVE: (
            "Tasks in the pool",
            "Tasks that an epoch draws from: seed tasks that do not rest, and variants.",
        ),
    }
    found = [
        section(key, title, text + BAND, _curves(arms, places, key))
        for key, (title, text) in about.items()
    ]
    made = {name: runs for name, runs in arms.items() if any(r.variants.all.groups for r in runs)}
    if made:
        read = f"First groups of generated tasks, over seeds. In zone: mean within [{LOW}, {HIGH}]."
        title = "First groups of variants"
        found.append(section("landings", title, read, _landings(made)))
    families = {name: runs for name, runs in arms.items() if any(r.families.counts for r in runs)}
    if families:
        read = "Injected variants by the seed task that they descend from, the largest family first"
        read += "; means over seeds."
        found.append(section("families", "Families", read, _families(families, places)))
    return found


def _curves(arms: Arms, places: dict[str, int], column: str) -> Chart:
    lines, bands = list[Line](), list[Band]()
    for name, runs in arms.items():
        points = mean_curve(runs, column)
        xs = [point.trajectories for point in points]
        colour, dash = curve_of(places[name])
        if len(runs) > 1:
            edges = [point.low for point in points], [point.high for point in points]
            bands.append(Band(xs, *edges, colour))
        lines.append(Line(name, xs, [point.mean for point in points], colour, dash))
    last = max((x for line in lines for x in line.xs), default=1)
    if column == ACTIVE:
        return curves(
            lines, x="trajectories", y="tasks", form=number, x_range=(0, last), bands=bands
        )
    return curves(
        lines,
        x="trajectories",
        y="share",
        form=percent,
        ticks=share,
        x_range=(0, last),
        bands=bands,
    )


def _landings(arms: Arms) -> Rows:
    titles = {"mean": "mean outcome", "signal": "with signal", "in_zone": "in zone"}
    rows = []
    for name, runs in arms.items():
        values = [_over_seeds(runs, key) for key in titles]
        measures = (Measure(v, percent(v), c) for v, c in zip(values, CURVES, strict=False))
        rows.append((name, tuple(measures)))
    return Rows(("arm", *titles.values()), tuple(rows))


def _over_seeds(runs: Sequence[RunResult], key: str) -> float:
    values = [v for run in runs if (v := getattr(run.variants.all, key)) is not None]
    return fmean(values)


def _families(arms: Arms, places: dict[str, int]) -> Chart:
    lines = []
    for name, runs in arms.items():
        size = max(len(run.families.counts) for run in runs)
        padded = [[*run.families.counts, *[0] * (size - len(run.families.counts))] for run in runs]
        means = [fmean(counts) for counts in zip(*padded, strict=True)]
        lines.append(Line(name, [*range(1, size + 1)], means, *curve_of(places[name])))
    return curves(lines, x="families by size", y="variants", form=number)
