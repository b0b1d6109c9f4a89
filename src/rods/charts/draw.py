"""Draws a chart as HTML with SVG: positions in percent, texts in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Template
from markupsafe import Markup

from rods.charts.chart import Band, Chart, Figure, Line
from rods.charts.style import DASHES, MARKERS
from rods.html import templates

HERE = Path(__file__).parent
UNITS = 1000  # of the stretched part of a chart
MOST_MARKED = 60  # points of a curve up to which each has a marker


class Curve(NamedTuple):
    """A drawn line: its path in units, and the percentages of its markers."""

    line: Line
    path: str
    dash: str
    marker: str
    points: Sequence[tuple[float, float]]


def draw(figure: Figure, title: str) -> Markup:
    """The figure as HTML.

    Args:
        title: what a screen reader says of it.
    """
    if isinstance(figure, Chart):
        curves = [_curve(figure, line) for line in figure.lines]
        areas = [(_area(figure, band), band.colour) for band in figure.bands]
        drawn = {"curves": curves, "areas": areas, "units": UNITS}
    else:
        drawn = {}
    kind = "chart" if isinstance(figure, Chart) else "rows"
    return Markup(_template(kind).render(figure=figure, title=title, **drawn))


@cache
def _template(kind: str) -> Template:
    return templates(HERE).get_template(f"{kind}.html.j2")


def _curve(chart: Chart, line: Line) -> Curve:
    known = [(x, y) for x, y in zip(line.xs, line.ys, strict=True) if y is not None]
    marked = len(known) <= MOST_MARKED and (line.marker or len(known) == 1)
    points = [(chart.x.at(x), 100 - chart.y.at(y)) for x, y in known] if marked else []
    shape = MARKERS[line.marker or "circle"]
    return Curve(line, " ".join(_steps(chart, line)), DASHES[line.dash], shape, points)


def _steps(chart: Chart, line: Line) -> Iterator[str]:
    """The parts of a path; it begins anew after each gap."""
    letter = "M"
    for x, y in zip(line.xs, line.ys, strict=True):
        if y is None:
            letter = "M"
            continue
        yield f"{letter}{_point(chart, x, y)}"
        letter = "L"


def _area(chart: Chart, band: Band) -> str:
    upper = [_point(chart, x, y) for x, y in zip(band.xs, band.highs, strict=True)]
    lower = [_point(chart, x, y) for x, y in zip(band.xs, band.lows, strict=True)]
    return f"M{' L'.join([*upper, *reversed(lower)])}Z" if upper else ""


def _point(chart: Chart, x: float, y: float) -> str:
    scale = UNITS / 100
    return f"{chart.x.at(x) * scale:g} {UNITS - chart.y.at(y) * scale:g}"
