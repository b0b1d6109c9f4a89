"""Held-out measurements: mean progress and share complete, by category."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from rods.rollout.runner import Policy, Rollout, Runner
from rods.store.rows import Evaluation
from rods.task import Task


def evaluate(
    runner: Runner,
    tasks: Sequence[Task],
    policy: Policy,
    *,
    samples: int,
    rows: int,
    step: int,
    side: str,
    tick: Callable[[float], None] = lambda share: None,
) -> list[Evaluation]:
    """Play each task `samples` times.

    Args:
        rows: episodes that are played at once.
        tick: called with the share that is done.

    Returns:
        One row for "overall" and one a category.
    """
    jobs = [task for task in tasks for _ in range(samples)]
    rollouts: list[Rollout] = []
    for start in range(0, len(jobs), rows):
        rollouts += runner.run(jobs[start : start + rows], policy)
        tick(len(rollouts) / len(jobs))
    by_category: dict[str, list[Rollout]] = {"overall": rollouts}
    for task, rollout in zip(jobs, rollouts, strict=True):
        by_category.setdefault(task.category.value, []).append(rollout)
    return [
        Evaluation(
            step,
            side,
            category,
            fmean(r.progress for r in found),
            fmean(r.complete for r in found),
            len(found),
        )
        for category, found in by_category.items()
    ]
