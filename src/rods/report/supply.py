"""Figures of where tasks come from and go, from a run's record; None where there is nothing yet."""

from __future__ import annotations

from collections import Counter, defaultdict

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from rods.curriculum.boundary import Zone
from rods.report.record import Record
from rods.report.style import (
    FLOWS,
    GREY,
    HEIGHT,
    ORIGINS,
    REFUSED,
    SPARE,
    dress,
    epoch_axis,
    figure,
    label,
)

BINS = 20


def pool(record: Record) -> go.Figure | None:
    """What entered and left the pool at each epoch's start, and how large it was after that."""
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
    """What became of the attempts at making a variant."""
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
