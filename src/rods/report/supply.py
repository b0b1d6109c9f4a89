"""Figures of where tasks come from and go, from a run's record; None where there is nothing yet."""

from __future__ import annotations

from collections import Counter, defaultdict

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from rods.boundary import Zone
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
    if not sizes:
        return None
    flows: dict[str, Counter[int]] = defaultdict(Counter)
    for event in record.events:
        if event.kind in ("injected", "woken"):
            flows[event.kind][event.epoch] += 1
        elif event.kind in ("retired", "rested"):
            flows[event.reason if event.kind == "retired" else "rested"][event.epoch] -= 1
    chart = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.08
    )
    for name in sorted(flows, key=lambda n: ([*FLOWS, n].index(n), n)):
        counts = flows[name]
        bar = go.Bar(
            name=label(name if name in ("injected", "woken", "rested") else f"retired: {name}"),
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
        chart.add_trace(line, row=2, col=1)
    dress(chart, height=HEIGHT + 160, barmode="relative", hovermode="x unified")
    chart.update_xaxes(**epoch_axis(list(sizes)))
    chart.update_xaxes(title_text="", row=1, col=1)
    chart.update_yaxes(title_text="out / in", row=1, col=1)
    return chart.update_yaxes(title_text="active tasks", rangemode="tozero", row=2, col=1)


def landings(record: Record) -> go.Figure | None:
    """Mean rewards of the first groups of seeds and of generated tasks."""
    if not record.by_task:
        return None
    chart = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for row, (name, colour) in enumerate(ORIGINS.items(), 1):
        counts, total = [0] * BINS, 0
        for task_id, groups in record.by_task.items():
            if (task_id in record.seeds) == (name == "seeds"):
                counts[min(BINS - 1, int(groups[0].mean * BINS + 1e-9))] += 1
                total += 1
        bar = go.Bar(
            name=f"{name} ({total})",
            x=[(i + 0.5) / BINS for i in range(BINS)],
            y=[count / total if total else 0 for count in counts],
            customdata=[[i / BINS, (i + 1) / BINS, n] for i, n in enumerate(counts)],
            marker_color=colour,
            hovertemplate="%{customdata[0]:.2f} to %{customdata[1]:.2f}: %{customdata[2]} tasks",
        )
        chart.add_trace(bar, row=row, col=1)
    dress(chart, height=HEIGHT + 60)
    chart.update_layout(bargap=0.05, margin_t=40, legend_y=1.08)
    low, high = record.limits.low, record.limits.high
    for limit in (low, high):
        chart.add_vline(limit, line={"color": GREY, "dash": "dash", "width": 1.5})
    for name, centre in zip(
        (Zone.HARD, Zone.BOUNDARY, Zone.MASTERED),
        (low / 2, (low + high) / 2, (high + 1) / 2),
        strict=True,
    ):
        chart.add_annotation(
            text=str(name), x=centre, y=1, yref="paper", yanchor="bottom", showarrow=False
        )
    chart.update_xaxes(range=[0, 1], dtick=0.2)
    chart.update_xaxes(title_text="mean reward of the first group", row=2, col=1)
    return chart.update_yaxes(title_text="share", tickformat=".0%", matches="y")


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
    chart = figure([bar], height=80 + 28 * len(rows), showlegend=False)
    chart.update_layout(margin={"l": 10, "r": 48})
    chart.update_xaxes(title_text="attempts", nticks=4)
    return chart.update_yaxes(automargin=True, showgrid=False)
