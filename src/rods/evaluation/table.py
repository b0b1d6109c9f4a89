"""The table of an evaluation: results by category with intervals, endings, failures and costs.

An interval is the middle 95 % of a bootstrap over tasks: tasks are drawn with replacement within
each category, each with the mean of its runs. So it covers what another sample of tasks, and other
runs, would give. "Overall" is the mean of the categories, as the paper and the benchmark have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rods.evaluation.episodes import EpisodeRow
from rods.rollout.episode import Ending
from rods.task import OVERALL

DRAWS = 10_000
MIDDLE = (2.5, 97.5)  # percentiles
Draws = NDArray[np.float64]
Value = Callable[[EpisodeRow], float]
SUMS = ("calls", "actions", "malformed", "cut_off", "shortened", "tokens_in", "tokens_out")
COMPLETE, PROGRESS = "complete", "progress"
VALUES: dict[str, Value] = {
    COMPLETE: lambda row: float(bool(row.complete)),
    PROGRESS: lambda row: float(row.progress or 0.0),
}


class Interval(NamedTuple):
    """A mean with its interval; the bounds are None for fewer than two tasks."""

    mean: float
    low: float | None
    high: float | None


def summarise(rows: Sequence[EpisodeRow], order: Iterable[str], expected: int) -> dict[str, Any]:
    """All results of an evaluation as plain data.

    Args:
        order: the categories in their order.
        expected: episodes of the whole evaluation.
    """
    found = _by(rows, lambda row: row.category)
    categories = {name: found[name] for name in order if name in found}
    results = {
        name: {**_results({name: found}), **_counts(found)} for name, found in categories.items()
    }
    results[OVERALL] = {**_results(categories), **_counts(rows)}
    sizes = {len({row.task for row in found}) for found in categories.values()}
    return {
        "episodes": len(rows),
        "expected": expected,
        "equal_categories": len(sizes) <= 1,
        "results": results,
    }


def task_means(rows: Iterable[EpisodeRow], value: Value) -> dict[str, float]:
    """The mean over the runs of each task; episodes that the environment lost have no value."""
    found = _by((row for row in rows if row.progress is not None), lambda row: row.task)
    return {task: fmean(map(value, runs)) for task, runs in found.items()}


def interval(groups: Mapping[str, Sequence[float]]) -> Interval | None:
    """The mean over categories of the mean over tasks, with its interval.

    Args:
        groups: category -> a value of each task.

    Returns:
        None if a category has no value.
    """
    if not groups or not all(groups.values()):
        return None
    mean = fmean(fmean(values) for values in groups.values())
    if any(len(values) < 2 for values in groups.values()):
        return Interval(mean, None, None)
    drawn = np.mean([_draws(values, name) for name, values in groups.items()], axis=0)
    low, high = np.percentile(drawn, MIDDLE)
    return Interval(mean, float(low), float(high))


def _draws(values: Sequence[float], name: str) -> Draws:
    """Means of samples with replacement; the same for the same values, in any order, and name."""
    values, rng = sorted(values), np.random.default_rng(list(name.encode()))
    counts = rng.multinomial(len(values), [1 / len(values)] * len(values), size=DRAWS)
    drawn: Draws = counts @ np.asarray(values, dtype=np.float64) / len(values)
    return drawn


def _results(categories: Mapping[str, Sequence[EpisodeRow]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in VALUES.items():
        means = {c: [*task_means(rows, value).values()] for c, rows in categories.items()}
        result = interval(means)
        found[name] = result._asdict() if result else None
    return found


def _counts(rows: Sequence[EpisodeRow]) -> dict[str, Any]:
    """Sums over episodes, and the tasks that the context was too small for."""
    refusals: Counter[str] = Counter()
    for row in rows:
        refusals.update(row.refusals)
    return {
        "tasks": len({row.task for row in rows}),
        "episodes": len(rows),
        "lost": sum(row.progress is None for row in rows),
        "endings": _counted(row.ending.value for row in rows),
        "causes": _counted(row.cause for row in rows if row.cause),
        "out_of_tokens": sorted({r.task for r in rows if r.ending is Ending.TOKEN_BUDGET}),
        "refusals": dict(refusals.most_common()),
        **{name: sum(getattr(row, name) for row in rows) for name in SUMS},
        "longest": max((row.longest for row in rows), default=0),
        "seconds": round(sum(row.seconds for row in rows), 1),
    }


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _by(
    rows: Iterable[EpisodeRow], key: Callable[[EpisodeRow], str]
) -> dict[str, list[EpisodeRow]]:
    found: dict[str, list[EpisodeRow]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found
