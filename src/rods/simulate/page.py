"""The page of a study: the table and the curves, in one file that loads nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import plotly.graph_objects as go

from rods.report.page import fill
from rods.report.style import band, curve, figure
from rods.simulate.measures import MASTERED
from rods.simulate.study import Study
from rods.simulate.summary import HEADER, READ, Row, cells


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
        points = [
            (x, e)
            for x, e in zip(row.trajectories, row.curve[key], strict=True)
            if e.mean == e.mean
        ]
        xs, found = [x for x, _ in points], [e for _, e in points]
        inner = [(e.low, e.high) for e in found if e.low is not None and e.high is not None]
        if len(inner) == len(found) > 0:
            lows, highs = zip(*inner, strict=True)
            traces.append(band(place, xs, lows, highs))
        traces.append(curve(row.name, place, xs, [e.mean for e in found]))
    chart = figure(traces, hovermode="x unified")
    chart.update_xaxes(title_text="trajectories", rangemode="tozero")
    share = key in ("signal", "progress")
    return chart.update_yaxes(tickformat=".0%" if share else ",d", rangemode="tozero")
