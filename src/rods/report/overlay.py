"""Several runs laid over each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from statistics import fmean

from rods.charts.axis import number, percent, share
from rods.charts.buckets import POINTS, bucketed
from rods.charts.chart import Chart, Line, curves
from rods.charts.style import curve_of
from rods.digest.state import RunState, Step
from rods.report.sections import Section, section
from rods.task import OVERALL

NOTHING = "There is nothing to show yet."


def overlay(states: Mapping[str, RunState]) -> list[Section]:
    """A figure for each thing that runs are compared by.

    Args:
        states: name of a run -> its state.
    """
    return [
        section(
            "curve",
            "Held-out progress during training",
            "Mean progress on the validation tasks of all categories.",
            _held_out(states),
            NOTHING,
            wide=True,
        ),
        section(
            "signals",
            "Groups with signal",
            "Share of the groups whose rewards differ; nothing is learnt from the others.",
            _of_steps(states, "share of groups", lambda step: step.signal, percent, share),
            NOTHING,
        ),
        section(
            "pool",
            "Pool",
            "Tasks that may be drawn.",
            _of_steps(states, "active tasks", lambda step: step.active, number),
            NOTHING,
        ),
        section(
            "steps",
            "Time of a training step",
            "",
            _of_steps(states, "seconds", lambda step: step.seconds, number),
            NOTHING,
        ),
    ]


def _held_out(states: Mapping[str, RunState]) -> Chart | None:
    lines = []
    for place, (name, state) in enumerate(states.items()):
        found = [
            (seen.step, seen.progress)
            for seen in state.evaluations
            if (seen.side, seen.category) == ("validation", OVERALL)
        ]
        colour, dash = curve_of(place)
        xs, ys = [x for x, _ in found], [y for _, y in found]
        lines.append(Line(name, xs, ys, colour, dash, "circle"))
    return _drawn(lines, "progress", percent, share)


def _of_steps(
    states: Mapping[str, RunState],
    title: str,
    value: Callable[[Step], float | None],
    form: Callable[[float], str],
    ticks: Callable[[float], str] | None = None,
) -> Chart | None:
    lines = []
    for place, (name, state) in enumerate(states.items()):
        known = {s.step: float(v) for s in state.steps if (v := value(s)) is not None}
        found = {bucket.middle: fmean(some) for bucket, some in bucketed(known, POINTS).items()}
        lines.append(Line(name, [*found], [*found.values()], *curve_of(place), width=1.6))
    return _drawn(lines, title, form, ticks)


def _drawn(
    lines: Iterable[Line],
    title: str,
    form: Callable[[float], str],
    ticks: Callable[[float], str] | None,
) -> Chart | None:
    drawn = [*lines]
    last = max((x for line in drawn for x in line.xs), default=0)
    if not last and not any(line.xs for line in drawn):
        return None
    ends = (0, last)
    return curves(drawn, x="training step", y=title, form=form, ticks=ticks, x_range=ends)
