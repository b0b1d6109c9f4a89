"""Choosing seeds for variants among the groups of a training step (paper section 5).

Departure from the paper: it says that quotas keep the task types balanced and no more. Here a quota
that a type cannot fill is counted, and may be given to the best of the other types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rods.boundary.rule import BoundaryRule
from rods.group import Group


class Seed(NamedTuple):
    """A task that is to be varied, and how much its group was worth."""

    task_id: str
    category: str
    priority: float


@dataclass(frozen=True)
class Selection:
    """What was chosen at a step.

    Attributes:
        seeds: best first.
        unfilled: category -> places of its quota for which it had no boundary task.
        cooling: boundary tasks that were passed over because they were chosen lately.
    """

    seeds: tuple[Seed, ...] = ()
    unfilled: Mapping[str, int] = field(default_factory=dict)
    cooling: int = 0


@dataclass
class Chooser:
    """Takes the best boundary tasks of a step, at most `quota` a category.

    Args:
        rule: has observed the groups before they come here.
        cooldown: steps for which a chosen task is not chosen again.
        redistribute: give places that a category cannot fill to the others.
    """

    rule: BoundaryRule
    quota: int
    cooldown: int
    redistribute: bool = False

    def choose(
        self, groups: Iterable[Group], last: Mapping[str, int], categories: Collection[str]
    ) -> Selection:
        """Choose by priority, ties by task id.

        Args:
            last: task id -> step at which it was last chosen, of those that ever were.
            categories: those that have a quota.
        """
        fit: dict[str, Seed] = {}
        cooling = 0
        for group in groups:
            standing = self.rule.standing(group.task_id, group.epoch) if group.complete else None
            if standing is None or not standing.boundary:
                continue
            if group.step - last.get(group.task_id, -self.cooldown - 1) < self.cooldown:
                cooling += 1
                continue
            fit[group.task_id] = Seed(group.task_id, group.category, standing.priority)
        ranked = sorted(fit.values(), key=lambda s: (-s.priority, s.task_id))
        chosen, spare = _within(ranked, dict.fromkeys(categories, self.quota))
        unfilled = {category: n for category, n in sorted(spare.items()) if n}
        if self.redistribute and unfilled:
            taken = {seed.task_id for seed in chosen}
            rest = [seed for seed in ranked if seed.task_id not in taken]
            chosen += rest[: sum(unfilled.values())]
            chosen.sort(key=lambda s: (-s.priority, s.task_id))
        return Selection(tuple(chosen), unfilled, cooling)


def _within(ranked: Iterable[Seed], quotas: Mapping[str, int]) -> tuple[list[Seed], Counter[str]]:
    """The first of each category up to its quota, and the places that stayed empty."""
    left, chosen = Counter(quotas), []
    for seed in ranked:
        if left[seed.category] > 0:
            left[seed.category] -= 1
            chosen.append(seed)
    return chosen, left
