"""Figures of the work behind a run: synthesis, its worker and endpoint, and the time of steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from rods.charts.axis import number
from rods.charts.buckets import POINTS, bucketed
from rods.charts.chart import Chart, Line, Measure, Rows, curves
from rods.charts.style import GREY, ORIGINS, REFUSED, curve_of
from rods.digest.state import RunState, Step

MOST_CAUSES = 30


def funnel(state: RunState) -> Rows | None:
    """Synthesis attempts by outcome."""
    if not state.funnel:
        return None
    first = {"tried": 2, "admitted": 1}
    rows = sorted(state.funnel.items(), key=lambda item: (-first.get(item[0], 0), -item[1]))
    colours = {"tried": GREY, "admitted": ORIGINS["generated"]}
    most = max(state.funnel.values()) or 1
    shown = [
        (name, (Measure(n / most, f"{n:,}", colours.get(name, REFUSED)),))
        for name, n in rows[:MOST_CAUSES]
    ]
    return Rows(("outcome", "attempts"), tuple(shown))


def job_times(state: RunState) -> Chart | None:
    """Seconds of the jobs of each epoch, all together, by how they ended."""
    found: dict[str, dict[int, float]] = {job.outcome: {} for job in state.jobs}
    for job in state.jobs:
        found[job.outcome][job.epoch] = job.seconds
    return _sums(found, "seconds")


def job_tokens(state: RunState) -> Chart | None:
    """Tokens that the model of synthesis read and wrote for the jobs of each epoch."""
    read, written = defaultdict[int, float](float), defaultdict[int, float](float)
    for job in state.jobs:
        read[job.epoch] += job.tokens_in
        written[job.epoch] += job.tokens_out
    found = {"read": read, "written": written}
    return _sums(found, "tokens") if any(map(any, (read.values(), written.values()))) else None


def _sums(found: Mapping[str, Mapping[int, float]], title: str) -> Chart | None:
    """Sums over the epochs of each bucket."""
    if not found:
        return None
    epochs = {epoch: 0.0 for values in found.values() for epoch in values}
    lines = []
    for place, (name, values) in enumerate(found.items()):
        some = bucketed({**epochs, **values}, POINTS)
        sums = [sum(each) for each in some.values()]
        lines.append(Line(name, [bucket.middle for bucket in some], sums, *curve_of(place)))
    return curves(lines, x="epoch", y=title, form=number)


def step_times(state: RunState) -> Chart | None:
    """Seconds of each training step, and of its parts where the trainer says them."""
    if not state.steps:
        return None
    found = bucketed({step.step: step for step in state.steps}, POINTS)
    names = dict.fromkeys(name for step in state.steps for name in step.parts)
    xs = [bucket.middle for bucket in found]
    lines = [Line("whole step", xs, [_mean(some) for some in found.values()], GREY)]
    for place, name in enumerate(names):
        ys = [_mean(some, name) for some in found.values()]
        lines.append(Line(name, xs, ys, *curve_of(place), width=1.6))
    return curves(lines, x="training step", y="seconds", form=number, x_range=(0, xs[-1]))


def _mean(steps: Sequence[Step], part: str = "") -> float | None:
    values = [s.parts.get(part) if part else s.seconds for s in steps]
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
