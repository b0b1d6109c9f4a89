"""What a chart shows, as data: an area with lines, bars and bands, or rows with a bar each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rods.charts.axis import Axis

NONE = "-"  # where there is no value


class Line(NamedTuple):
    """A curve.

    Attributes:
        colour: a CSS colour.
        dash: a name in `rods.charts.style.DASHES`.
        marker: a name in `rods.charts.style.MARKERS`, or "".
        ys: None where there is no value; the curve has a gap there.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    colour: str
    dash: str = "solid"
    marker: str = ""
    width: float = 2.2


class Band(NamedTuple):
    """The area between two curves."""

    xs: Sequence[float]
    lows: Sequence[float]
    highs: Sequence[float]
    colour: str


class Box(NamedTuple):
    """One bar, by its edges in the units of the axes."""

    left: float
    right: float
    low: float
    high: float


class Bars(NamedTuple):
    """Bars of one colour."""

    name: str
    colour: str
    boxes: Sequence[Box]


class Reading(NamedTuple):
    """The values at one place of the horizontal axis, as texts; see `Chart.columns`."""

    at: float
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """An area with two axes.

    Attributes:
        columns: heads of the table of values; the first is of the horizontal axis.
        readings: its rows, from left to right.
        limits: places of dashed vertical lines.
        places: names of parts of the area, each with its horizontal centre.
        height: of the area, in pixels.
    """

    x: Axis
    y: Axis
    columns: tuple[str, ...]
    readings: tuple[Reading, ...]
    lines: tuple[Line, ...] = ()
    bars: tuple[Bars, ...] = ()
    bands: tuple[Band, ...] = ()
    limits: tuple[float, ...] = ()
    places: tuple[tuple[str, float], ...] = ()
    height: int = 230


class Measure(NamedTuple):
    """A value of a row: its length as a share of the longest bar, and its text."""

    share: float
    text: str
    colour: str


@dataclass(frozen=True)
class Rows:
    """Named things with one or more values each; `columns` are the heads, the first of names."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Measure, ...]], ...] = field(default=())


Figure = Chart | Rows


def curves(
    lines: Iterable[Line],
    *,
    x: str,
    y: str,
    form: Callable[[float], str],
    ticks: Callable[[float], str] | None = None,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    bands: Iterable[Band] = (),
) -> Chart:
    """A chart of curves over the same axis, from zero upwards.

    Args:
        x: title of the horizontal axis.
        form: writes a value of a curve.
        ticks: writes a tick of the vertical axis; else `form` does.
        x_range: ends of the horizontal axis; else the least and the largest place.
        y_range: ends of the vertical axis; else from 0 to the largest value.
    """
    drawn, areas = tuple(lines), tuple(bands)
    values: dict[float, list[str]] = {at: [] for at in sorted({a for one in drawn for a in one.xs})}
    for number, line in enumerate(drawn):
        for at, value in zip(line.xs, line.ys, strict=True):
            row = values[at]
            row += [NONE] * (number - len(row))
            row.append(NONE if value is None else form(value))
    tops = [v for line in drawn for v in line.ys if v is not None]
    tops += [v for area in areas for v in area.highs]
    places = [*values, *(a for area in areas for a in area.xs)]
    ends = x_range or (min(places, default=0.0), max(places, default=1.0))
    return Chart(
        Axis.over(x, *ends),
        Axis.over(y, *(y_range or (0.0, max(tops, default=1.0))), ticks or form),
        (x, *(line.name for line in drawn)),
        tuple(
            Reading(at, (f"{at:,g}", *row, *[NONE] * (len(drawn) - len(row))))
            for at, row in values.items()
        ),
        lines=drawn,
        bands=areas,
    )
