"""Compares two evaluations: the differences by task, with intervals."""

from __future__ import annotations

from typing import Any

from rods.errors import UserError
from rods.evaluation.folder import Facts, StoredEvaluation, differences
from rods.evaluation.table import VALUES, interval, task_means
from rods.task import OVERALL

SAMPLE = ("tasks", "runs")  # parts of an identity that say what was played, and not by whom


def compare(one: StoredEvaluation, two: StoredEvaluation) -> dict[str, Any]:
    """The paired differences (the second minus the first) on the tasks that both have.

    Raises:
        UserError: no task is in both.
    """
    categories = {(row.task, row.id): row.category for row in one.rows if row.progress is not None}
    theirs = {(row.task, row.id) for row in two.rows if row.progress is not None}
    common = {task: category for (task, i), category in categories.items() if (task, i) in theirs}
    if not common:
        message = "has no task that the other one has; compare two evaluations of the same tasks"
        raise UserError(f"{two.path}: {message}")
    return {
        "one": str(one.path),
        "two": str(two.path),
        "tasks": len(common),
        "only_one": len(categories) - len(common),
        "only_two": len(theirs) - len(common),
        "settings": _settings(one.identity, two.identity),
        "results": _results(one, two, common),
    }


def _results(
    one: StoredEvaluation, two: StoredEvaluation, common: dict[str, str]
) -> dict[str, dict[str, Any]]:
    results: dict[str, dict[str, Any]] = {}
    for name, value in VALUES.items():
        before, after = task_means(one.rows, value), task_means(two.rows, value)
        groups: dict[str, dict[str, float]] = {}
        for task, category in common.items():
            groups.setdefault(category, {})[task] = after[task] - before[task]
        order = (c for c in one.identity["tasks"]["categories"] if c in groups)
        parts = {category: {category: groups[category]} for category in order}
        for row, chosen in {**parts, OVERALL: groups}.items():
            difference = interval({c: [*found.values()] for c, found in chosen.items()})
            values = [d for found in chosen.values() for d in found.values()]
            results.setdefault(row, {"tasks": len(values)})[name] = {
                "one": _mean(before, chosen),
                "two": _mean(after, chosen),
                "difference": difference._asdict() if difference else None,
                "better": sum(d > 0 for d in values),
                "worse": sum(d < 0 for d in values),
            }
    return results


def _mean(values: dict[str, float], groups: dict[str, dict[str, float]]) -> float:
    """The mean of the categories' means."""
    means = [sum(values[task] for task in group) / len(group) for group in groups.values()]
    return sum(means) / len(means)


def _settings(one: Facts, two: Facts) -> dict[str, list[Any]]:
    """The settings that differ, other than the choice of the tasks."""
    return {
        name: [left, right]
        for name, left, right in differences(one, two)
        if name.partition(".")[0] not in SAMPLE
    }
