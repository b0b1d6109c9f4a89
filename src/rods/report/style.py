"""The style of all figures: colours that colour-blind readers can distinguish, few lines.

A thing has the same colour in all figures. The page sets text colours and legends, since it knows
its width and whether it is light or dark; a trace with `meta="ink"` gets the text colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

from rods.curriculum.boundary import Zone
from rods.group import Signal

GREY = "#8a8f98"
INK = "ink"

ZONES = {Zone.MASTERED: "#56b4e9", Zone.BOUNDARY: "#e69f00", Zone.HARD: "#8059a5"}
SIGNALS = {
    Signal.SIGNAL: ZONES[Zone.BOUNDARY],
    Signal.ALL_SOLVED: ZONES[Zone.MASTERED],
    Signal.CONSTANT: "#b3b3b3",
    Signal.ALL_FAILED: ZONES[Zone.HARD],
    Signal.INCOMPLETE: "#d0679d",
}
LINES = (  # colour, marker and dash of a category, by its place
    ("#0072b2", "circle", "solid"),
    ("#d55e00", "square", "dash"),
    ("#cc79a7", "diamond", "dot"),
    ("#999933", "triangle-up", "dashdot"),
)
ORIGINS = {"seeds": GREY, "generated": "#009e73"}
FLOWS = {
    "injected": ORIGINS["generated"],
    "woken": "#c9ccd1",
    "mastered": ZONES[Zone.MASTERED],
    "failed burn-in": "#b9a0d0",
    "too hard": ZONES[Zone.HARD],
    "no signal": SIGNALS[Signal.CONSTANT],
    "stale": "#d8b365",
    "pruned": "#8c510a",
    "rested": "#5b6f95",
}
CURVES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999933", "#8059a5")
DASHES = ("solid", "dash", "dot", "dashdot")
SPARE = "#d0679d"
REFUSED = "#d55e00"
HEIGHT = 310
FAINT = "rgba(128,128,128,0.25)"


def line_of(place: int) -> tuple[str, str, str]:
    """Colour, marker and dash of the category at a place; no two of the first 16 look alike."""
    colour, _, dash = LINES[place % len(LINES)]
    return colour, LINES[(place + place // len(LINES)) % len(LINES)][1], dash


def curve(name: str, place: int, xs: Sequence[float], ys: Sequence[float]) -> go.Scatter:
    """The curve of one of the compared things, by its place among them.

    Args:
        name: free text.
    """
    dash = DASHES[place // len(CURVES) % len(DASHES)]
    return go.Scatter(
        name=label(name),
        x=xs,
        y=ys,
        mode="lines",
        line={"color": CURVES[place % len(CURVES)], "width": 2.2, "dash": dash},
        hovertemplate="%{y:.3~f}",
    )


def band(
    place: int, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float]
) -> go.Scatter:
    """The area between two curves, in the colour of the curve at a place."""
    return go.Scatter(
        x=[*xs, *reversed(xs)],
        y=[*highs, *reversed(lows)],
        fill="toself",
        fillcolor=f"rgba{(*hex_to_rgb(CURVES[place % len(CURVES)]), 0.18)}",
        mode="none",
        hoverinfo="skip",
    )


def label(text: str) -> str:
    """Free text for a figure, escaped, since plotly reads tags in it as markup."""
    return escape(text, quote=False)


def figure(traces: Sequence[Any] = (), **layout: Any) -> go.Figure:
    """A figure in the common style."""
    return dress(go.Figure(list(traces)), **layout)


def dress(found: go.Figure, height: int = HEIGHT, **layout: Any) -> go.Figure:
    """Apply the common style to a figure."""
    found.update_layout(
        template=go.layout.Template(),
        height=height,
        margin={"l": 8, "r": 10, "t": 12, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": GREY},
        showlegend=False,
        bargap=0.15,
        dragmode=False,
        **layout,
    )
    axis = {"gridcolor": FAINT, "zerolinecolor": FAINT, "linecolor": FAINT, "fixedrange": True}
    found.update_xaxes(**axis, showgrid=False, showline=True, zeroline=False, spikethickness=1)
    found.update_yaxes(**axis, automargin=True, title_standoff=8)
    return found


def epoch_axis(epochs: Sequence[int]) -> dict[str, Any]:
    """A horizontal axis of whole epochs, at least 0 to 5."""
    last = max([*epochs, 5])
    step = max(1, round(last / 10))
    return {"title_text": "epoch", "range": [-0.5, last + 0.5], "dtick": step, "tick0": 0}
