"""Chooses parent tasks for variants by the groups of a training step.

Open in the paper: the quota of a category, the cooldown, whether variants may be chosen, and what
becomes of places that a category cannot fill. Here variants may be chosen like seed tasks; such
places are counted, and may be given to the best tasks of other categories.

Not in the paper: the cooldown may be of families (`boundary.family_cooldown`). Tasks of a family
that has its share of the pool (`pool.family_share`) may be chosen: at the end of the epoch, when
their variants are admitted, others of the family have retired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rods.curriculum.boundary import BoundaryRule
from rods.group import Group


class Parent(NamedTuple):
    """A task to make variants of; `priority` is the value of its group."""

    task_id: str
    category: str
    priority: float


@dataclass(frozen=True)
class Selection:
    """What was chosen at a step.

    Attributes:
        parents: the highest priority first.
        unfilled: category -> places of its quota for which it had no boundary task.
        cooling: number of boundary tasks that were skipped since they were chosen recently.
    """

    parents: tuple[Parent, ...] = ()
    unfilled: Mapping[str, int] = field(default_factory=dict)
    cooling: int = 0


@dataclass
class Selector:
    """Chooses the best boundary tasks of a step, at most `quota` of each category.

    Args:
        rule: must have observed the groups before `select`.
        cooldown: steps for which a chosen task is not chosen again.
        redistribute: give places that a category cannot fill to other categories.
    """

    rule: BoundaryRule
    quota: int
    cooldown: int
    redistribute: bool = False

    def select(
        self,
        groups: Iterable[Group],
        identity: Callable[[str], str],
        last: Mapping[str, int],
        categories: Collection[str],
    ) -> Selection:
        """Choose by priority, ties by task id; at most one task of each identity.

        Args:
            identity: of a task id; the cooldown is of identities.
            last: identity -> step at which it was last chosen, of all that were chosen before.
            categories: those that have a quota.
        """
        fit: dict[str, Parent] = {}
        cooling = 0
        for group in groups:
            standing = self.rule.standing(group.task_id, group.epoch) if group.complete else None
            if standing is None or not standing.boundary:
                continue
            known = identity(group.task_id)
            if group.step - last.get(known, -self.cooldown - 1) < self.cooldown:
                cooling += 1
                continue
            fit[group.task_id] = Parent(group.task_id, group.category, standing.priority)
        ranked = sorted(fit.values(), key=lambda p: (-p.priority, p.task_id))
        if self.cooldown:  # the others of a family would be cooling after the first
            first = {identity(parent.task_id): parent for parent in reversed(ranked)}
            cooling += len(ranked) - len(first)
            ranked = [p for p in ranked if first[identity(p.task_id)] is p]
        chosen, spare = _within(ranked, dict.fromkeys(categories, self.quota))
        unfilled = {category: n for category, n in sorted(spare.items()) if n}
        if self.redistribute and unfilled:
            taken = {parent.task_id for parent in chosen}
            rest = [parent for parent in ranked if parent.task_id not in taken]
            chosen += rest[: sum(unfilled.values())]
            chosen.sort(key=lambda p: (-p.priority, p.task_id))
        return Selection(tuple(chosen), unfilled, cooling)


def _within(
    ranked: Iterable[Parent], quotas: Mapping[str, int]
) -> tuple[list[Parent], Counter[str]]:
    """The first of each category up to its quota, and the places that remain empty."""
    left, chosen = Counter(quotas), []
    for parent in ranked:
        if left[parent.category] > 0:
            left[parent.category] -= 1
            chosen.append(parent)
    return chosen, left
