"""The page of a study: the table and the curves, in one file that loads nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

from rods.report.page import fill
from rods.report.style import figure, label
from rods.simulate.measures import MASTERED
from rods.simulate.study import Study
from rods.simulate.summary import HEADER, READ, Row, cells

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999933", "#8059a5")
DASHES = ("solid", "dash", "dot", "dashdot")


def render(rows: Sequence[Row], study: Study) -> str:
    """The page as text."""
    first = study.setups[0]
    shown = sections(rows, first.settings.world.heldout)
    return fill(
        Path(__file__).with_name("page.html.j2"),
        {"figures": {s.key: s.figure.to_plotly_json() for s in shown}},
        preset=first.config.preset,
        trajectories=study.trajectories,
        seeds=len(study.seeds),
        header=HEADER,
        read=READ,
        rows=cells(rows),
        sections=shown,
    )


class FigureSection(NamedTuple):
    """A figure with a heading and a text on how to read it."""

    key: str
    title: str
    text: str
    figure: go.Figure


def sections(rows: Sequence[Row], heldout: int) -> list[FigureSection]:
    """All figures of the page.

    Args:
        heldout: number of held-out tasks.
    """
    about = {
        "signal": (
            "Groups with signal",
            "Share of the latest groups whose rewards differ; nothing is learnt from the others.",
        ),
        "progress": (
            "Held-out progress",
            "Expected share of turns solved on tasks never trained on.",
        ),
        "mastered": (
            "Held-out tasks mastered",
            f"Of {heldout:,} tasks never trained on: expected reward at least {MASTERED}.",
        ),
        "pool": ("Pool", "Tasks that may be drawn."),
    }
    return [FigureSection(key, *texts, _curves(rows, key)) for key, texts in about.items()]


def _curves(rows: Sequence[Row], key: str) -> go.Figure:
    """A line for each configuration, with the interval of its mean as a band."""
    traces: list[go.Scatter] = []
    for place, row in enumerate(rows):
        colour = COLOURS[place % len(COLOURS)]
        dash = DASHES[place // len(COLOURS) % len(DASHES)]
        points = [
            (x, e)
            for x, e in zip(row.trajectories, row.curve[key], strict=True)
            if e.mean == e.mean
        ]
        xs, found = [x for x, _ in points], [e for _, e in points]
        if found and found[0].low is not None:
            edge = [e.high for e in found] + [e.low for e in reversed(found)]
            traces.append(
                go.Scatter(
                    x=xs + xs[::-1],
                    y=edge,
                    fill="toself",
                    fillcolor=f"rgba{(*hex_to_rgb(colour), 0.18)}",
                    mode="none",
                    hoverinfo="skip",
                )
            )
        traces.append(
            go.Scatter(
                name=label(row.name),
                x=xs,
                y=[e.mean for e in found],
                mode="lines",
                line={"color": colour, "width": 2.2, "dash": dash},
                hovertemplate="%{y:.3~f}",
            )
        )
    chart = figure(traces, hovermode="x unified")
    chart.update_xaxes(title_text="trajectories", rangemode="tozero")
    share = key in ("signal", "progress")
    return chart.update_yaxes(tickformat=".0%" if share else ",d", rangemode="tozero")
