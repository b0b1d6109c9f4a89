"""Colours and marks of all charts; colour-blind readers can distinguish them.

A thing has the same colour in all charts.
"""

from __future__ import annotations

from rods.curriculum.boundary import Zone
from rods.group import Signal

INK = "currentColor"  # of the page's text, dark or light
GREY = "#8a8f98"
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
    ("#999933", "triangle", "dashdot"),
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
DASHES = {"solid": "", "dash": "7 4", "dot": "2 3", "dashdot": "8 3 2 3"}
MARKERS = {
    "circle": "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
    "square": "M-3-3H3V3H-3Z",
    "diamond": "M0-4L4 0L0 4L-4 0Z",
    "triangle": "M0-4L4 3H-4Z",
}
SPARE = "#d0679d"
REFUSED = "#d55e00"


def line_of(place: int) -> tuple[str, str, str]:
    """Colour, marker and dash of the category at a place; no two of the first 16 look alike."""
    colour, _, dash = LINES[place % len(LINES)]
    return colour, LINES[(place + place // len(LINES)) % len(LINES)][1], dash


def curve_of(place: int) -> tuple[str, str]:
    """Colour and dash of one of the compared things, by its place among them."""
    return CURVES[place % len(CURVES)], tuple(DASHES)[place // len(CURVES) % len(DASHES)]
