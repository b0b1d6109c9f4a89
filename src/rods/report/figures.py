"""Figures of a run's record: learning, pool and synthesis. None if there is no data yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from statistics import fmean

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from rods.curriculum.boundary import Zone
from rods.report.record import Record
from rods.report.style import (
    FLOWS,
    GREY,
    HEIGHT,
    INK,
    ORIGINS,
    REFUSED,
    SIGNALS,
    SPARE,
    ZONES,
    dress,
    epoch_axis,
    figure,
    label,
    line_of,
)
from rods.task import OVERALL

SYMBOLS = ("circle", "square", "diamond")
BINS = 20  # of a mean outcome


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
    """Share of each epoch's groups with signal, and of those without, by cause."""
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


def pool(record: Record) -> go.Figure | None:
    """Tasks that entered and left the pool at each epoch's start, and its size after that."""
    sizes = record.sizes()
    if not sizes or record.config.get("arm") == "fresh":
        return None
    flows: dict[str, Counter[int]] = defaultdict(Counter)
    for event in record.events:
        if event.kind in ("injected", "woken"):
            flows[event.kind][event.epoch] += 1
        elif event.kind in ("retired", "rested"):
            flows[event.reason if event.kind == "retired" else "rested"][event.epoch] -= 1
    rows = 2 if flows else 1
    chart = make_subplots(
        rows=rows, cols=1, shared_xaxes=True, row_heights=[0.6, 0.4][-rows:], vertical_spacing=0.08
    )
    for name in sorted(flows, key=lambda n: ([*FLOWS, n].index(n), n)):
        counts = flows[name]
        bar = go.Bar(
            name=label(name),
            x=list(counts),
            y=list(counts.values()),
            customdata=[abs(n) for n in counts.values()],
            marker_color=FLOWS.get(name, SPARE),
            hovertemplate="%{customdata}",
        )
        chart.add_trace(bar, row=1, col=1)
    for position, (name, colour) in enumerate(ORIGINS.items()):
        line = go.Scatter(
            name=f"active {name}",
            x=list(sizes),
            y=[size[position] for size in sizes.values()],
            mode="lines+markers",
            line={"color": colour, "width": 2.5, "dash": ("dot", "solid")[position]},
            hovertemplate="%{y}",
        )
        chart.add_trace(line, row=rows, col=1)
    dress(chart, height=HEIGHT + 160 * (rows - 1), barmode="relative", hovermode="x unified")
    chart.update_xaxes(**epoch_axis(list(sizes)))
    if flows:
        chart.update_xaxes(title_text="", row=1, col=1)
        chart.update_yaxes(title_text="out / in", row=1, col=1)
    return chart.update_yaxes(title_text="active tasks", rangemode="tozero", row=rows, col=1)


def landings(record: Record) -> go.Figure | None:
    """Mean outcomes of the first complete groups of seeds and of generated tasks."""
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for task_id, group in record.firsts.items():
        name = "seeds" if task_id in record.seeds else "generated"
        found[name][min(BINS - 1, int(group.mean * BINS + 1e-9))] += 1
    if not found:
        return None
    names = [name for name in ORIGINS if name in found]
    chart = make_subplots(
        rows=len(names), cols=1, shared_xaxes=True, shared_yaxes="all", vertical_spacing=0.06
    )
    for row, name in enumerate(names, 1):
        counts = [found[name][i] for i in range(BINS)]
        bar = go.Bar(
            name=f"{name} ({sum(counts)})",
            x=[(i + 0.5) / BINS for i in range(BINS)],
            y=[count / sum(counts) for count in counts],
            customdata=[[i / BINS, (i + 1) / BINS, n] for i, n in enumerate(counts)],
            marker_color=ORIGINS[name],
            hovertemplate="%{customdata[0]:.2f} to %{customdata[1]:.2f}: %{customdata[2]} tasks",
        )
        chart.add_trace(bar, row=row, col=1)
    top = max(max(counts.values()) / counts.total() for counts in found.values())
    dress(chart, height=HEIGHT - 90 + 150 * (len(names) - 1))
    chart.update_layout(bargap=0.05, margin_t=20)
    low, high = record.limits.low, record.limits.high
    for limit in (low, high):
        chart.add_vline(limit, line={"color": GREY, "dash": "dash", "width": 1.5})
    places = {Zone.HARD: (0, "left"), Zone.BOUNDARY: ((low + high) / 2, "center")}
    for name, (x, anchor) in {**places, Zone.MASTERED: (1, "right")}.items():
        chart.add_annotation(
            text=str(name),
            x=x,
            xanchor=anchor,
            y=1,
            yref="paper",
            yanchor="bottom",
            showarrow=False,
        )
    chart.update_xaxes(range=[0, 1], dtick=0.2)
    chart.update_xaxes(title_text="mean outcome of the first complete group", row=len(names), col=1)
    return chart.update_yaxes(title_text="share", tickformat=".0%", range=[0, 1.05 * top])


def funnel(record: Record) -> go.Figure | None:
    """Synthesis attempts by outcome."""
    if not record.funnel:
        return None
    first = {"tried": 2, "admitted": 1}
    rows = sorted(record.funnel.items(), key=lambda item: (first.get(item[0], 0), item[1]))
    colours = {"tried": GREY, "admitted": ORIGINS["generated"]}
    bar = go.Bar(
        x=[count for _, count in rows],
        y=[label(outcome) for outcome, _ in rows],
        text=[f"{count:,}" for _, count in rows],
        textposition="outside",
        cliponaxis=False,
        orientation="h",
        marker_color=[colours.get(outcome, REFUSED) for outcome, _ in rows],
        hoverinfo="skip",
    )
    chart = figure([bar], height=80 + 28 * len(rows))
    chart.update_layout(margin={"l": 10, "r": 48})
    chart.update_xaxes(title_text="attempts", nticks=4)
    return chart.update_yaxes(showgrid=False)
