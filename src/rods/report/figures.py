"""Figures of what is learnt, from a run's record; None where there is nothing to draw yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from statistics import fmean

import plotly.graph_objects as go

from rods.report.record import Record
from rods.report.style import (
    GREY,
    INK,
    SIGNALS,
    ZONES,
    epoch_axis,
    figure,
    label,
    line_of,
)
from rods.task import OVERALL

SYMBOLS = ("circle", "square", "diamond")


def held_out_curve(record: Record) -> go.Figure | None:
    """Mean progress on the validation tasks over training steps, by category and overall."""
    points: dict[str, dict[int, float]] = defaultdict(dict)
    for seen in record.evaluations:
        if seen.side == "validation":
            points[seen.category][seen.step] = seen.progress
    traces = []
    in_order = sorted(points, key=lambda name: name == OVERALL)  # that one last
    for place, name in enumerate(in_order):
        bold = name == OVERALL
        colour, symbol, dash = (GREY, "circle", "solid") if bold else line_of(place)
        traces.append(
            go.Scatter(
                name=label(name),
                x=list(points[name]),
                y=list(points[name].values()),
                mode="lines+markers",
                meta=INK if bold else None,
                line={"color": colour, "width": 4 if bold else 1.8, "dash": dash},
                marker={"color": colour, "symbol": symbol, "size": 8 if bold else 6},
                hovertemplate="%{y:.1%}",
            )
        )
    if not traces:
        return None
    found = figure(traces, hovermode="x unified")
    last = max(record.config.get("steps", 1), *(step for xs in points.values() for step in xs))
    found.update_xaxes(title_text="training step", range=[-0.02 * last, 1.02 * last])
    return found.update_yaxes(title_text="progress", tickformat=".0%", rangemode="tozero")


def zones(record: Record) -> go.Figure | None:
    """Share of each epoch's complete groups in every zone."""
    counts = {
        epoch: Counter(str(record.limits.zone(g.mean)) for g in groups)
        for epoch, groups in record.measured.items()
    }
    return _shares(counts, {str(z): colour for z, colour in ZONES.items()})


def signals(record: Record) -> go.Figure | None:
    """Share of each epoch's groups that teach something, and of those that do not, by cause."""
    counts = {
        epoch: Counter(str(g.signal) for g in groups) for epoch, groups in record.by_epoch.items()
    }
    return _shares(counts, {str(s): colour for s, colour in SIGNALS.items()})


def variances(record: Record) -> go.Figure | None:
    """Mean variance of the outcomes of an epoch's complete groups, by zone."""
    traces: list[go.Scatter] = []
    for name, colour in ZONES.items():
        points = {}
        for epoch, groups in record.measured.items():
            found = [g.variance for g in groups if record.limits.zone(g.mean) is name]
            if found:
                points[epoch] = (fmean(found), len(found))
        traces.append(
            go.Scatter(
                name=str(name),
                x=list(points),
                y=[value for value, _ in points.values()],
                customdata=[count for _, count in points.values()],
                mode="lines+markers",
                line={"color": colour, "width": 2.5},
                marker={"symbol": SYMBOLS[len(traces)], "size": 8},
                hovertemplate="%{y:.3f} (%{customdata} groups)",
            )
        )
    if not record.measured:
        return None
    chart = figure(traces, hovermode="x unified")
    chart.update_xaxes(**epoch_axis(list(record.measured)))
    return chart.update_yaxes(title_text="variance", rangemode="tozero")


def _shares(counts: dict[int, Counter[str]], colours: dict[str, str]) -> go.Figure | None:
    """Stacked shares by epoch."""
    if not counts:
        return None
    traces = [
        go.Bar(
            name=name,
            x=list(counts),
            y=[found[name] / found.total() for found in counts.values()],
            customdata=[[found[name], found.total()] for found in counts.values()],
            marker_color=colour,
            hovertemplate="%{y:.1%} (%{customdata[0]} of %{customdata[1]})",
        )
        for name, colour in colours.items()
    ]
    chart = figure(traces, barmode="stack", hovermode="x unified")
    chart.update_xaxes(**epoch_axis(list(counts)))
    return chart.update_yaxes(title_text="groups", tickformat=".0%", range=[0, 1])
