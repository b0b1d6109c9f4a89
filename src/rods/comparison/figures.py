"""Figures of a comparison's page."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

import plotly.graph_objects as go

from rods.comparison.analysis import Arms
from rods.comparison.curves import SIGNAL, mean_curve
from rods.comparison.result import HIGH, LOW, RunResult
from rods.evaluation.table import COMPLETE, PROGRESS
from rods.report.style import CURVES, band, curve, figure, label

BAND = " The line is the mean over seeds, the band their least and largest value."


class FigureSection(NamedTuple):
    """A figure with a heading and a text on how to read it."""

    key: str
    title: str
    text: str
    figure: go.Figure


def sections(arms: Arms) -> list[FigureSection]:
    """All figures of the page."""
    places = {name: place for place, name in enumerate(arms)}
    curves = {
        COMPLETE: ("Validation tasks completed", "Share of episodes with every turn passed."),
        PROGRESS: ("Validation progress", "Mean share of turns passed."),
        SIGNAL: (
            "Groups with signal",
            "Share of each epoch's groups whose rewards differ, at the epoch's first step.",
        ),
    }
    found = [
        FigureSection(key, title, text + BAND, _curves(arms, places, key))
        for key, (title, text) in curves.items()
    ]
    made = {name: runs for name, runs in arms.items() if any(r.variants.all.groups for r in runs)}
    if made:
        read = f"First groups of generated tasks, over seeds. In zone: mean within [{LOW}, {HIGH}]."
        title = "First groups of variants"
        found.append(FigureSection("landings", title, read, _landings(made)))
    families = {name: runs for name, runs in arms.items() if any(r.families.counts for r in runs)}
    if families:
        read = "Injected variants by the seed task that they descend from, the largest family first"
        read += "; means over seeds."
        found.append(FigureSection("families", "Families", read, _families(families, places)))
    return found


def _curves(arms: Arms, places: dict[str, int], column: str) -> go.Figure:
    traces: list[Any] = []
    for name, runs in arms.items():
        points = mean_curve(runs, column)
        xs = [point.trajectories for point in points]
        if len(runs) > 1:
            edges = [point.low for point in points], [point.high for point in points]
            traces.append(band(places[name], xs, *edges))
        traces.append(curve(name, places[name], xs, [point.mean for point in points]))
    chart = figure(traces, hovermode="x unified")
    chart.update_xaxes(title_text="trajectories", rangemode="tozero")
    return chart.update_yaxes(tickformat=".0%", rangemode="tozero")


def _landings(arms: Arms) -> go.Figure:
    names = [label(name) for name in arms]
    titles = {"mean": "mean outcome", "signal": "with signal", "in_zone": "in zone"}
    bars = [
        go.Bar(
            name=title,
            x=names,
            y=[_over_seeds(runs, key) for runs in arms.values()],
            marker={"color": colour},
            hovertemplate="%{y:.3~f}",
        )
        for (key, title), colour in zip(titles.items(), CURVES, strict=False)
    ]
    chart = figure(bars, barmode="group")
    return chart.update_yaxes(tickformat=".0%", range=[0, 1])


def _over_seeds(runs: Sequence[RunResult], key: str) -> float:
    values = [v for run in runs if (v := getattr(run.variants.all, key)) is not None]
    return fmean(values)


def _families(arms: Arms, places: dict[str, int]) -> go.Figure:
    traces = []
    for name, runs in arms.items():
        size = max(len(run.families.counts) for run in runs)
        padded = [[*run.families.counts, *[0] * (size - len(run.families.counts))] for run in runs]
        means = [fmean(counts) for counts in zip(*padded, strict=True)]
        traces.append(curve(name, places[name], [*range(1, size + 1)], means))
    chart = figure(traces, hovermode="x unified")
    chart.update_xaxes(title_text="families by size", rangemode="tozero")
    return chart.update_yaxes(tickformat=",d", rangemode="tozero")
