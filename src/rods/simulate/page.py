"""The page of a study: figures and the table in one file, nothing fetched."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.colors import hex_to_rgb
from plotly.offline import get_plotlyjs

from rods.report.page import HERE as REPORT
from rods.report.page import island
from rods.report.style import figure, label
from rods.simulate.measures import MASTERED
from rods.simulate.study import Study
from rods.simulate.summary import HEADER, READ, Row, cells


def render(rows: Sequence[Row], study: Study) -> str:
    """The page as text."""
    first = study.setups[0]
    shown = sections(rows, first.settings.world.heldout)
    scripts = [Markup(get_plotlyjs()), Markup((REPORT / "page.js").read_text("utf-8"))]
    hashes = [b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return env.get_template("page.html.j2").render(
        preset=first.config.preset,
        trajectories=study.trajectories,
        seeds=len(study.seeds),
        header=HEADER,
        read=READ,
        rows=cells(rows),
        sections=shown,
        style=Markup((REPORT / "page.css").read_text("utf-8")),
        scripts=scripts,
        hashes=[f"sha256-{found}" for found in hashes],
        data=island({"figures": {s.key: s.figure.to_plotly_json() for s in shown}}),
    )


COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999933", "#8059a5")
DASHES = ("solid", "dash", "dot", "dashdot")


class FigureSection(NamedTuple):
    """A figure, with what to read off it."""

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
            "Share of the latest groups whose rewards differ; the others teach nothing.",
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
    return [FigureSection(key, *told, _curves(rows, key)) for key, told in about.items()]


def _curves(rows: Sequence[Row], key: str) -> go.Figure:
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
