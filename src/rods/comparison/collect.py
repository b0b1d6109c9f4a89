"""Makes the compact result of a finished run from its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from rods import __version__
from rods.comparison.calibration import calibrations
from rods.comparison.plan import PlannedRun, shared_values
from rods.comparison.record import Record
from rods.comparison.result import (
    CurvePoint,
    EpochPoint,
    Families,
    HeldOutTasks,
    Landing,
    Landings,
    RunResult,
    Size,
    Sizes,
    ZoneVariance,
)
from rods.curriculum.boundary import Zone
from rods.errors import UserError
from rods.files.plain_data import Author, ReadError
from rods.files.reading import parse_json, read_text
from rods.group import signal_share
from rods.metrics import SUMMARY
from rods.store.measures import VALIDATION
from rods.store.schema import Evaluation
from rods.store.store import Store
from rods.task import OVERALL, STRUCTURE, Task, by_category

THIRDS = 3
Side = Literal["test", "validation"]


def finished(folder: Path) -> bool:
    """Whether the run in a folder is finished."""
    return (folder / SUMMARY).exists()


def collect(run: PlannedRun) -> RunResult:
    """The compact result of a finished run.

    Raises:
        UserError: the run is not finished or is damaged, its test side was read more than once, or
            nothing held out was measured.
    """
    summary = _summary(run.folder)
    store = Store(run.folder, role="reader")
    try:
        with store.snapshot():
            record, lines = Record.read(store), store.measures.metrics()
            side = _side(run.folder, record.evaluations, summary["steps"])
            measured = _measured(store, side, summary["steps"])
            structure = _measured(store, STRUCTURE, summary["steps"])
    finally:
        store.close()
    assert measured is not None  # `_side` saw it
    played = [0, *accumulate(line["trajectories"] for line in lines)]  # up to each step
    return RunResult(
        arm=run.arm,
        seed=run.config.seed,
        preset=run.config.preset,
        rods=record.config.get("rods", __version__),
        command=run.line(),
        settings=run.settings,
        config=shared_values(record.config),
        **{name: summary[name] for name in ("trajectories", "generated_tokens", "steps")},
        **{name: summary[name] for name in ("epochs", "wall_s", "synthesis_s")},
        tasks=len(record.by_task),
        side=side,
        test=measured,
        structure=structure,
        before=overall(record.evaluations, side, 0),
        curve=_curve(record.evaluations, played),
        by_epoch=_by_epoch(record, played),
        zones=_zones(record),
        variants=landings(record, summary["steps"]),
        families=families(record),
        sizes=Sizes(
            seeds=_sizes(record.tasks[i] for i in record.tasks if i in record.seeds),
            variants=_sizes(record.tasks[i] for i in record.generated),
        ),
        forecasts=calibrations(lines, record.firsts),
        retired=summary["pool"]["retired"],
        attempts=summary["synthesis"]["attempts"],
    )


def _measured(store: Store, side: str, step: int) -> HeldOutTasks | None:
    """The results on a side after a step; None if it was not measured."""
    rows = store.measures.of_tasks(side, step)
    if not rows:
        return None
    categories: dict[str, tuple[str, ...]] = {}
    for row in rows:
        categories[row.category] = (*categories.get(row.category, ()), row.task_id)
    tasks = {row.task_id: (row.progress, row.complete) for row in rows}
    return HeldOutTasks(tasks=tasks, categories=categories)


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / SUMMARY
    text = read_text(path)
    try:
        found = parse_json(text, Author.RODS)
    except ReadError as error:
        raise UserError(f"{path}: {error}") from None
    needed = ("trajectories", "generated_tokens", "steps", "epochs", "wall_s", "synthesis_s")
    summary: dict[str, Any] = found if isinstance(found, dict) else {}
    for name in (*needed, "pool", "synthesis"):
        if name not in summary:
            raise UserError(f"{path}: {name} is missing; remove the run's folder and run it again")
    return summary


def _side(folder: Path, rows: Iterable[Evaluation], last: int) -> Side:
    """The side that is compared: the test side, or the validation side if that was not measured.

    Raises:
        UserError: the test side was read between the first and the last step, or neither side was
            measured after the last one.
    """
    steps: dict[str, set[int]] = {}
    for row in rows:
        steps.setdefault(row.side, set()).add(row.step)
    test = steps.get("test", set())
    if test - {0, last}:
        listed = ", ".join(map(str, sorted(test)))
        why = f"its test side was read more than once (steps {listed})"
        raise UserError(f"{folder}: {why}; compare needs a run of its own")
    if last in test:
        return "test"
    if last in steps.get(VALIDATION, set()):
        return "validation"
    raise UserError(f"{folder}: no held-out side was measured after step {last}")


def overall(rows: Sequence[Evaluation], side: str, step: int) -> tuple[float, float] | None:
    """Progress and share complete on a side after a step: the means of the categories' means.

    Returns:
        None if there is no such measurement.
    """
    found = [r for r in rows if (r.side, r.step) == (side, step) and r.category != OVERALL]
    if not found:
        return None
    return fmean(row.progress for row in found), fmean(row.complete for row in found)


def _curve(rows: Sequence[Evaluation], played: Sequence[int]) -> tuple[CurvePoint, ...]:
    steps = sorted({row.step for row in rows if row.side == VALIDATION})
    found = ((step, overall(rows, VALIDATION, step)) for step in steps)
    return tuple(CurvePoint(step, played[step], *point) for step, point in found if point)


def _by_epoch(record: Record, played: Sequence[int]) -> tuple[EpochPoint, ...]:
    points, sizes = [], record.sizes()
    for epoch, groups in record.by_epoch.items():
        first = min(group.step for group in groups)
        before, share = played[first - 1], signal_share(groups)
        points.append(EpochPoint(epoch, first, before, share, sum(sizes[epoch])))
    return tuple(points)


def _zones(record: Record) -> dict[str, ZoneVariance]:
    found: dict[str, list[float]] = {zone.value: [] for zone in Zone}
    for group in record.groups:
        if group.complete:
            found[record.limits.zone(group.mean).value].append(group.variance)
    return {
        name: ZoneVariance(groups=len(values), variance=fmean(values))
        for name, values in found.items()
        if values
    }


def landings(record: Record, steps: int) -> Landings:
    """The first complete groups of the tasks that a run of so many steps made and played."""
    firsts = [record.firsts[i] for i in record.generated if i in record.firsts]
    first, second, third = (
        Landing.of([g for g in firsts if (g.step - 1) * THIRDS // steps == part])
        for part in range(THIRDS)
    )
    return Landings(all=Landing.of(firsts), thirds=(first, second, third))


def families(record: Record) -> Families:
    """The injected variants by the seed task at the root of their parent tasks."""
    counts = Counter(_ancestor(task, record.parents) for task in record.parents)
    return Families(counts=tuple(sorted(counts.values(), reverse=True)), seeds=len(record.seeds))


def _ancestor(task: str, parents: Mapping[str, str]) -> str:
    while task in parents:
        task = parents[task]
    return task


def _sizes(tasks: Iterable[Task]) -> dict[str, Size]:
    return {
        category: Size(
            tasks=len(found),
            turns=fmean(len(task.turns) for task in found),
            calls=fmean(len(task.calls) for task in found),
        )
        for category, found in sorted(by_category(tasks).items())
    }
