"""Checks the groups that a trainer returns, before they change anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rods.group import Group, GroupRewards

SHOWN = 3  # task ids in a message


@dataclass(frozen=True)
class Due:
    """The groups that the next training step must deliver.

    Attributes:
        task_ids: of the step's tasks; a task that occurs twice needs two groups.
        size: K, rollouts of each task.
        category: of a task, by its id.
        shaped: the rewards that are trained on say nothing about the outcome.
    """

    step: int
    epoch: int
    task_ids: Sequence[str]
    size: int
    category: Callable[[str], str]
    shaped: bool

    def groups(self, given: Sequence[GroupRewards]) -> list[Group]:
        """The groups as they are stored.

        Raises:
            ValueError: they are not those of this step, or cannot be what was measured.
        """
        due, found = Counter(self.task_ids), Counter(group.task_id for group in given)
        wrong = _listed("missing", due - found) + _listed("not due", found - due)
        if wrong:
            tasks = f"its {len(self.task_ids)} tasks"
            message = f"one group is due for each of {tasks}; {'; '.join(wrong)}"
            raise ValueError(f"step {self.step}: {message}")
        return [self._group(group) for group in given]

    def _group(self, given: GroupRewards) -> Group:
        fault = given.fault(self.size)
        if not fault and self.shaped and given.outcomes is None:
            fault = "the format reward is shaped: give the progress as outcomes"
        if fault:
            raise ValueError(f"step {self.step}: group of task {given.task_id}: {fault}")
        return given.measured(self.category(given.task_id), self.epoch, self.step)


def _listed(what: str, tasks: Counter[str]) -> list[str]:
    names = list(tasks.elements())
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{what}: {', '.join(names[:SHOWN])}{more}"] if names else []
