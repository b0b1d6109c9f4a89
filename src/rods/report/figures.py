"""Figures of a run: learning and the pool. None if there is no data yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import accumulate

from rods.charts.axis import Axis, percent, share
from rods.charts.buckets import BARS, POINTS, Bucket, bucketed
from rods.charts.chart import NONE, Bars, Box, Chart, Line, Reading, curves
from rods.charts.style import FLOWS, INK, ORIGINS, SIGNALS, SPARE, ZONES, line_of
from rods.curriculum.boundary import Zone
from rods.digest.fold import BINS
from rods.digest.state import RunState, Tally
from rods.task import OVERALL

GAP = 0.08  # of a bar's width, on either side
MARKERS = ("circle", "square", "diamond")
LEAST = 5  # epochs that an axis has at least


def held_out_curve(state: RunState) -> Chart | None:
    """Mean progress on the validation tasks over training steps, by category and overall."""
    points: dict[str, dict[int, float]] = defaultdict(dict)
    for seen in state.evaluations:
        if seen.side == "validation":
            points[seen.category][seen.step] = seen.progress
    lines = []
    for place, name in enumerate(sorted(points, key=lambda name: name == OVERALL)):  # that last
        bold = name == OVERALL
        colour, marker, dash = (INK, "circle", "solid") if bold else line_of(place)
        found = points[name]
        width = 4.0 if bold else 1.8
        lines.append(Line(name, [*found], [*found.values()], colour, dash, marker, width))
    if not lines:
        return None
    last = max(state.config.get("steps", 1), *(step for line in lines for step in line.xs))
    return curves(
        lines, x="training step", y="progress", form=percent, ticks=share, x_range=(0, last)
    )


def zones(state: RunState) -> Chart | None:
    """Share of each epoch's complete groups in every zone."""
    return _shares(state.by_place("zone"), {str(z): colour for z, colour in ZONES.items()})


def signals(state: RunState) -> Chart | None:
    """Share of each epoch's groups with signal, and of those without, by cause."""
    return _shares(state.by_place("signal"), {str(s): colour for s, colour in SIGNALS.items()})


def variances(state: RunState) -> Chart | None:
    """Mean variance of the outcomes of an epoch's complete groups, by zone."""
    found = bucketed(state.by_place("zone"), POINTS)
    if not found:
        return None
    lines = []
    for marker, (zone, colour) in zip(MARKERS, ZONES.items(), strict=True):
        points = {bucket: _sum(some, zone) for bucket, some in found.items()}
        known = {bucket: tally for bucket, tally in points.items() if tally.n}
        means = [tally.total / tally.n for tally in known.values()]
        lines.append(Line(str(zone), [b.middle for b in known], means, colour, "solid", marker))
    ends = (0, max(LEAST, *(bucket.last for bucket in found)))
    return curves(lines, x="epoch", y="variance", form="{:.3f}".format, x_range=ends)


def _sum(some: list[dict[str, Tally]], name: str) -> Tally:
    found = [tallies[name] for tallies in some if name in tallies]
    return Tally(sum(t.n for t in found), sum(t.total for t in found))


def epoch_axis(buckets: list[Bucket]) -> Axis:
    """A horizontal axis of whole epochs, at least 0 to `LEAST`."""
    last = max(LEAST, *(bucket.last for bucket in buckets))
    axis = Axis.over("epoch", -0.5, last + 0.5)
    whole = tuple((at, text) for at, text in axis.ticks if at == int(at))
    return axis._replace(ticks=whole)


def _box(bucket: Bucket, low: float, high: float) -> Box:
    gap = GAP * (bucket.last - bucket.first + 1)
    return Box(bucket.first - 0.5 + gap, bucket.last + 0.5 - gap, low, high)


def _shares(counts: Mapping[int, dict[str, Tally]], colours: Mapping[str, str]) -> Chart | None:
    """Stacked shares by epoch."""
    if not counts:
        return None
    found = bucketed(counts, BARS)
    boxes: dict[str, list[Box]] = {name: [] for name in colours}
    readings = []
    for bucket, some in found.items():
        numbers = {name: _sum(some, name).n for name in colours}
        total, low, cells = sum(numbers.values()), 0.0, []
        for name, n in numbers.items():
            boxes[name].append(_box(bucket, low, low + n / total))
            low += n / total
            cells.append(f"{percent(n / total)} ({n:,} of {total:,})" if n else "0")
        readings.append(Reading(bucket.middle, (bucket.name, *cells)))
    bars = tuple(Bars(name, colours[name], boxes[name]) for name in colours)
    y = Axis.over("groups", 0, 1, share)
    return Chart(epoch_axis([*found]), y, ("epoch", *colours), tuple(readings), bars=bars)


def pool_flow(state: RunState) -> Chart | None:
    """Tasks that entered and left the pool at each epoch's start."""
    if not (counts := state.by_place("flow")):
        return None
    found = bucketed(counts, BARS)
    names = {name for some in counts.values() for name in some}
    order = sorted(names, key=lambda n: ([*FLOWS, n].index(n), n))
    boxes: dict[str, list[Box]] = {name: [] for name in order}
    readings, low, high = [], 0, 0
    for bucket, some in found.items():
        up, down, cells = 0, 0, []
        for name in order:
            n = _sum(some, name).n
            cells.append(f"{abs(n):,}")
            if n > 0:
                boxes[name].append(_box(bucket, up, up + n))
                up += n
            elif n < 0:
                boxes[name].append(_box(bucket, down + n, down))
                down += n
        readings.append(Reading(bucket.middle, (bucket.name, *cells)))
        low, high = min(low, down), max(high, up)
    bars = tuple(Bars(name, FLOWS.get(name, SPARE), boxes[name]) for name in order)
    y = Axis.over("tasks out / in", low, high, lambda n: f"{abs(n):g}")
    return Chart(epoch_axis([*found]), y, ("epoch", *order), tuple(readings), bars=bars)


def pool_size(state: RunState) -> Chart | None:
    """Live tasks after the changes at each epoch's start, by origin."""
    counts = state.by_place("live")
    if not counts or state.arm == "fresh":
        return None
    reached = (*counts, *state.by_place("signal"))
    epochs = range(max(reached) + 1)
    lines = []
    for origin, dash in zip(ORIGINS, ("dot", "solid"), strict=True):
        changes = [counts.get(e, {}).get(origin, Tally(0, 0)).n for e in epochs]
        sizes = dict(zip(epochs, accumulate(changes), strict=True))
        ends = {b: some[-1] for b, some in bucketed(sizes, POINTS).items()}
        xs = [float(b.last) if b.first != b.last else b.middle for b in ends]
        lines.append(Line(f"active {origin}", xs, [*ends.values()], ORIGINS[origin], dash))
    ends_at = (0, max(LEAST, epochs[-1]))
    return curves(lines, x="epoch", y="active tasks", form="{:,.0f}".format, x_range=ends_at)


def landings(state: RunState) -> Chart | None:
    """Mean outcomes of the first complete groups of seeds and of generated tasks."""
    found: dict[str, Counter[int]] = {}
    for origin in ORIGINS:
        places = state.by_place(f"landing {origin}")
        if places:
            found[origin] = Counter({place: names[""].n for place, names in places.items()})
    if not found:
        return None
    totals = {name: counts.total() for name, counts in found.items()}
    top = max(max(counts.values()) / totals[name] for name, counts in found.items())
    bars, width = [], 1 / BINS
    for place, (name, counts) in enumerate(found.items()):
        part = width / len(found)
        boxes = [
            Box(
                i * width + place * part + 0.06 * width,
                i * width + (place + 1) * part - 0.06 * width,
                0,
                n / totals[name],
            )
            for i, n in sorted(counts.items())
        ]
        bars.append(Bars(f"{name} ({totals[name]:,})", ORIGINS[name], boxes))
    readings = [
        Reading(
            (i + 0.5) * width,
            (f"{i * width:.2f} to {(i + 1) * width:.2f}", *(f"{c[i]:,}" for c in found.values())),
        )
        for i in range(BINS)
    ]
    low, high = state.limits.low, state.limits.high
    return Chart(
        Axis.over("mean outcome of the first complete group", 0, 1, step=0.2),
        Axis.over("share of tasks", 0, 1.05 * top, share),
        ("mean outcome", *(bar.name for bar in bars)),
        tuple(readings),
        bars=tuple(bars),
        limits=(low, high),
        places=(
            (str(Zone.HARD), low / 2),
            (str(Zone.BOUNDARY), (low + high) / 2),
            (str(Zone.MASTERED), (high + 1) / 2),
        ),
    )


def families(state: RunState) -> Chart | None:
    """Injected variants of each family, the largest family first."""
    sizes, _ = state.families
    if not sizes:
        return None
    total = state.total("event")["injected"]
    boxes = [Box(i + 0.55, i + 1.45, 0, n) for i, n in enumerate(sizes)]
    readings = [
        Reading(i, (str(i), f"{n:,}", percent(n / total) if total else NONE))
        for i, n in enumerate(sizes, 1)
    ]
    return Chart(
        Axis.over("families by size", 0.5, max(10, len(sizes)) + 0.5),
        Axis.over("variants", 0, max(sizes)),
        ("family", "variants", "share"),
        tuple(readings),
        bars=(Bars("variants", ORIGINS["generated"], boxes),),
    )
