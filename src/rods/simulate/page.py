"""The page of a study: the table and the curves, in one file that loads nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rods.charts.axis import number, percent, share
from rods.charts.chart import Band, Chart, Line, curves
from rods.charts.style import CURVES, curve_of
from rods.report.document import fill
from rods.report.sections import Section, section
from rods.simulate.measures import MASTERED
from rods.simulate.study import Study
from rods.simulate.summary import HEADER, READ, Row, cells


def render(rows: Sequence[Row], study: Study) -> str:
    """The page as text."""
    first = study.setups[0]
    return fill(
        Path(__file__).with_name("page.html.j2"),
        preset=first.config.preset,
        trajectories=study.trajectories,
        seeds=len(study.seeds),
        header=HEADER,
        read=READ,
        rows=cells(rows),
        sections=sections(rows, first.settings.world.heldout),
    )


def sections(rows: Sequence[Row], heldout: int) -> list[Section]:
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
    return [section(key, *texts, _curves(rows, key)) for key, texts in about.items()]


def _curves(rows: Sequence[Row], key: str) -> Chart:
    """A line for each configuration, with the interval of its mean as a band."""
    lines, bands = list[Line](), list[Band]()
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
            bands.append(Band(xs, lows, highs, CURVES[place % len(CURVES)]))
        lines.append(Line(row.name, xs, [e.mean for e in found], *curve_of(place)))
    shares = key in ("signal", "progress")
    return curves(
        lines,
        x="trajectories",
        y="share" if shares else "tasks",
        form=percent if shares else number,
        ticks=share if shares else number,
        x_range=(0, max((x for line in lines for x in line.xs), default=1)),
        bands=bands,
    )
