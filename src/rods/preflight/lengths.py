"""Prompts and whole episodes of all tasks against the limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, quantiles
from typing import Any

from rods.preflight.ground_truth import Size
from rods.task import Task, by_category


def describe(
    sides: Mapping[str, Sequence[Task]],
    sizes: Mapping[str, Size],
    measured: Callable[[Size], int],
    fits: Callable[[int], bool],
) -> dict[str, Any]:
    """How long all tasks are, by side and by category, and which do not fit.

    Args:
        measured: the length of a task.
        fits: whether a length is within the limit.
    """
    every = [task for tasks in sides.values() for task in tasks]
    length = {task.id: measured(sizes[task.id]) for task in every}
    longest = {
        category: max(tasks, key=lambda task: length[task.id])
        for category, tasks in by_category(every).items()
    }
    return {
        "tasks": {task.label: length[task.id] for task in every},
        "sides": {
            side: spread([length[task.id] for task in tasks])
            for side, tasks in sides.items()
            if tasks
        },
        "categories": {
            category: {
                **spread([length[task.id] for task in tasks]),
                "longest": longest[category].label,
            }
            for category, tasks in by_category(every).items()
        },
        "too_long": {
            side: {task.label: length[task.id] for task in tasks if not fits(length[task.id])}
            for side, tasks in sides.items()
        },
    }


def spread(values: Sequence[int]) -> dict[str, float]:
    """Count, mean, quantiles and maximum."""
    cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else [values[0]] * 99
    return {
        "tasks": len(values),
        "mean": round(fmean(values), 1),
        "median": round(cuts[49], 1),
        "p90": round(cuts[89], 1),
        "p99": round(cuts[98], 1),
        "most": max(values),
    }
