"""Checks the groups that a trainer returns, before they change anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rods.group import Group

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

    def fault(self, groups: Sequence[Group]) -> str:
        """Why these are not the groups that are due, or ""."""
        due, given = Counter(self.task_ids), Counter(group.task_id for group in groups)
        wrong = _listed("missing", due - given) + _listed("not due", given - due)
        if wrong:
            tasks = f"its {len(self.task_ids)} tasks"
            return f"step {self.step}: one group is due for each of {tasks}; {'; '.join(wrong)}"
        faults = ((group.task_id, self._fault_of(group)) for group in groups)
        name, fault = next((found for found in faults if found[1]), ("", ""))
        return f"step {self.step}: group of task {name}: {fault}" if fault else ""

    def _fault_of(self, group: Group) -> str:
        wanted = {
            "step": (group.step, self.step),
            "epoch": (group.epoch, self.epoch),
            "category": (group.category, self.category(group.task_id)),
            "size": (group.size or len(group.rewards), self.size),
        }
        for name, (found, right) in wanted.items():
            if found != right:
                few = name == "size" and not group.size
                hint = "; give size where rollouts were lost" * few
                return f"{name} is {found!r}, not {right!r}{hint}"
        if self.shaped and group.outcomes is None:
            return "the format reward is shaped: give the progress as outcomes"
        return group.fault()


def _listed(what: str, tasks: Counter[str]) -> list[str]:
    names = list(tasks.elements())
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{what}: {', '.join(names[:SHOWN])}{more}"] if names else []
