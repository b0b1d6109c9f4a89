"""Rules that look at a task's latest complete group and at nothing else."""

from __future__ import annotations

from array import array
from random import Random

from rods.boundary.rule import Standing, Thresholds, Zone
from rods.group import Group


class LatestRule:
    """What the three rules share: a task stands where its latest complete group put it."""

    name = ""
    by_signal = False
    forecasts = False

    def __init__(self) -> None:
        # Numbers, four a task: garbage collections would walk an object for each.
        self._places: dict[str, int] = {}
        self._numbers = array("d")

    def observe(self, group: Group) -> None:
        if group.complete:
            start = 4 * self._places.setdefault(group.task_id, len(self._places))
            self._numbers[start : start + 4] = array("d", self.judge(group))

    def standing(self, task_id: str, epoch: int) -> Standing | None:
        place = self._places.get(task_id)
        if place is None:
            return None
        mean, priority, boundary, silent = self._numbers[4 * place : 4 * place + 4]
        return Standing(mean, priority, bool(boundary), bool(silent))

    def judge(self, group: Group) -> Standing:
        """Where one complete group puts its task."""
        raise AssertionError("a rule says how it judges")


class MeanRule(LatestRule):
    """The paper's rule: mean within the limits, phi = 4 * mean * (1 - mean)."""

    name = "mean"

    def __init__(self, limits: Thresholds) -> None:
        super().__init__()
        self.limits = limits

    def judge(self, group: Group) -> Standing:
        mean = group.mean
        boundary = self.limits.zone(mean) is Zone.BOUNDARY
        return Standing(mean, 4 * mean * (1 - mean), boundary, group.constant)


class VarianceRule(LatestRule):
    """A task is at the boundary while the outcomes of its group differ; 4 * variance ranks it.

    4 * variance is at most phi, with equality for binary outcomes (Bhatia-Davis).
    """

    name = "variance"
    by_signal = True

    def judge(self, group: Group) -> Standing:
        return Standing(group.mean, 4 * group.variance, group.undecided, group.constant)


class RandomRule(LatestRule):
    """Any task may be a seed, in an order drawn anew at each step: the paper's ablation.

    Args:
        seed: of the drawing.
    """

    name = "random"

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def judge(self, group: Group) -> Standing:
        drawn = Random(f"{self.seed} {group.step} {group.task_id}").random()
        return Standing(group.mean, drawn, True, group.constant)
