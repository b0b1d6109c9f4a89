"""Figures of a comparison's page."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

from rods.comparison.analysis import Arms
from rods.comparison.curves import SIGNAL, mean_curve
from rods.comparison.result import HIGH, LOW, RunResult
from rods.evaluation.table import COMPLETE, PROGRESS
from rods.report.style import figure, label

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999933", "#8059a5")
DASHES = ("solid", "dash", "dot", "dashdot")
Style = tuple[str, str]  # colour and dash
BAND = " The line is the mean over seeds, the band their least and largest value."


class FigureSection(NamedTuple):
    """A figure with a heading and a text on how to read it."""

    key: str
    title: str
    text: str
    figure: go.Figure


def sections(arms: Arms) -> list[FigureSection]:
    """All figures of the page."""
    styles = {name: _style(place) for place, name in enumerate(arms)}
    curves = {
        COMPLETE: ("Validation tasks completed", "Share of episodes with every turn passed."),
        PROGRESS: ("Validation progress", "Mean share of turns passed."),
        SIGNAL: (
            "Groups with signal",
            "Share of each epoch's groups whose rewards differ, at the epoch's first step.",
        ),
    }
    found = [
        FigureSection(key, title, text + BAND, _curves(arms, styles, key))
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
        found.append(FigureSection("families", "Families", read, _families(families, styles)))
    return found


def _style(place: int) -> Style:
    return COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]


def _line(name: str, style: Style, xs: Sequence[float], ys: Sequence[float]) -> go.Scatter:
    line = {"color": style[0], "width": 2.2, "dash": style[1]}
    return go.Scatter(
        name=label(name), x=xs, y=ys, mode="lines", line=line, hovertemplate="%{y:.3~f}"
    )


def _curves(arms: Arms, styles: dict[str, Style], column: str) -> go.Figure:
    traces: list[Any] = []
    for name, runs in arms.items():
        points = mean_curve(runs, column)
        xs = [point.trajectories for point in points]
        if len(runs) > 1:
            edge = [point.high for point in points] + [point.low for point in reversed(points)]
            colour = f"rgba{(*hex_to_rgb(styles[name][0]), 0.18)}"
            traces.append(
                go.Scatter(
                    x=xs + xs[::-1],
                    y=edge,
                    fill="toself",
                    fillcolor=colour,
                    mode="none",
                    hoverinfo="skip",
                )
            )
        traces.append(_line(name, styles[name], xs, [point.mean for point in points]))
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
        for (key, title), colour in zip(titles.items(), COLOURS, strict=False)
    ]
    chart = figure(bars, barmode="group")
    return chart.update_yaxes(tickformat=".0%", range=[0, 1])


def _over_seeds(runs: Sequence[RunResult], key: str) -> float:
    values = [v for run in runs if (v := getattr(run.variants.all, key)) is not None]
    return fmean(values)


def _families(arms: Arms, styles: dict[str, Style]) -> go.Figure:
    traces = []
    for name, runs in arms.items():
        size = max(len(run.families.counts) for run in runs)
        padded = [[*run.families.counts, *[0] * (size - len(run.families.counts))] for run in runs]
        means = [fmean(counts) for counts in zip(*padded, strict=True)]
        traces.append(_line(name, styles[name], [*range(1, size + 1)], means))
    chart = figure(traces, hovermode="x unified")
    chart.update_xaxes(title_text="families by size", rangemode="tozero")
    return chart.update_yaxes(tickformat=",d", rangemode="tozero")
