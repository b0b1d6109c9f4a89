"""The pool: each task that ever was in it, with its state, which is the fold of all events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rods.group import Group


class ImpossibleEventError(ValueError):
    """An event that cannot happen to its task, so the history is wrong."""


class Event(NamedTuple):
    """One change of the pool, or a use of one of its tasks.

    Kinds: seeded; chosen (as a parent task); injected (reason: the parent's id); passed (a trial:
    the burn-in of a new task, or the re-examination of a seed task, then with the reason); rested
    (seed tasks, reason: why); woken (reason: why it rested); retired (reason: why).

    Attributes:
        step: training step that it belongs to, from 1; an epoch's end belongs to the step after.
        epoch: the first epoch in which it has an effect.
    """

    step: int
    epoch: int
    task_id: str
    kind: str
    reason: str = ""


BEFORE: dict[str, tuple[str, ...]] = {  # kind -> states in which it may happen to a task
    "seeded": ("",),
    "injected": ("",),
    "chosen": ("trial", "active", "resting"),
    "passed": ("trial",),
    "rested": ("trial", "active"),
    "woken": ("resting",),
    "retired": ("trial", "active"),
}
AFTER = {
    "seeded": "active",
    "injected": "trial",
    "passed": "active",
    "rested": "resting",
    "woken": "trial",
    "retired": "retired",
}
LIVE = ("trial", "active")  # states in which a task is drawn


@dataclass(slots=True)
class Entry:
    """A task's state in the pool.

    Attributes:
        family: id of the seed task that it descends from; its own id for a seed task.
        state: trial (burn-in or re-examination), active, resting or retired.
        since: first epoch in that state.
        rests: how often in a row a seed task was sent to rest.
        reason: of the event that brought it into its state.
        seen: last epoch in which it had a complete group, or -1; set by groups, not by events.
    """

    task_id: str
    category: str
    generated: bool
    state: str
    since: int
    family: str
    rests: int = 0
    reason: str = ""
    seen: int = -1


@dataclass
class Pool:
    """The tasks and their states. Only `apply` changes the states.

    Attributes:
        live: tasks that may be drawn, in order of arrival or return.
        resting: seed tasks that rest.
        size: category -> number of live tasks.
        generated: number of live tasks that synthesis made.
        injected: number of tasks that were injected so far.
        retired: reason -> number of tasks that retired so far.
        chosen: task id -> step at which it was last chosen as a parent task.
        family_chosen: family -> step at which one of its tasks was last chosen.
        families: family -> number of its live variants.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    live: dict[str, Entry] = field(default_factory=dict)
    resting: dict[str, Entry] = field(default_factory=dict)
    size: Counter[str] = field(default_factory=Counter)
    generated: int = 0
    injected: int = 0
    retired: Counter[str] = field(default_factory=Counter)
    chosen: dict[str, int] = field(default_factory=dict)
    family_chosen: dict[str, int] = field(default_factory=dict)
    families: Counter[str] = field(default_factory=Counter)

    @property
    def members(self) -> int:
        """Tasks that are live or rest; beta is a share of them."""
        return len(self.live) + len(self.resting)

    def apply(self, event: Event, category: str | None = None) -> Entry:
        """Apply one event, and return the entry that it changed.

        Args:
            category: of a task that joins; None if that task is not stored.

        Raises:
            ImpossibleEventError: it cannot happen to the task in its state, or there is no task.
        """
        step, epoch, task_id, kind, reason = event
        entry = self.entries.get(task_id)
        state = entry.state if entry else ""
        if state not in BEFORE[kind]:
            message = f"cannot be {kind}: it is {state or 'not in the pool'}"
            raise ImpossibleEventError(f"task {task_id} {message}")
        if entry is None:
            if category is None:
                raise ImpossibleEventError(f"task {task_id} was {kind} and is not stored")
            generated = kind == "injected"
            family = self.family(reason) if generated and reason else task_id
            entry = Entry(task_id, category, generated, "", epoch, family)
            self.entries[task_id] = entry
            self.injected += generated
        if kind == "chosen":
            self.chosen[task_id] = self.family_chosen[entry.family] = step
            return entry
        self._move(entry, AFTER[kind])
        entry.since, entry.reason = epoch, reason
        if kind == "rested":
            entry.rests += 1
        elif kind == "passed":
            entry.rests = 0
        elif kind == "retired":
            self.retired[reason] += 1
        return entry

    def observe(self, groups: Iterable[Group]) -> None:
        """Note when tasks were last seen."""
        for group in groups:
            if group.complete and (entry := self.entries.get(group.task_id)):
                entry.seen = group.epoch

    def family(self, task_id: str) -> str:
        """The family of a task; a task that never was in the pool is its own."""
        entry = self.entries.get(task_id)
        return entry.family if entry else task_id

    def categories(self) -> list[str]:
        """All categories of tasks that are or were in the pool."""
        return sorted(self.size)

    def surplus(self, floor: int) -> Counter[str]:
        """Category -> number of live tasks above a floor."""
        return Counter({category: max(0, n - floor) for category, n in self.size.items()})

    def _move(self, entry: Entry, state: str) -> None:
        before, entry.state = entry.state, state
        if before == "resting":
            del self.resting[entry.task_id]
        elif state == "resting":
            self.resting[entry.task_id] = entry
        change = (state in LIVE) - (before in LIVE)
        if change:
            self.size[entry.category] += change
            self.generated += entry.generated * change
            self.families[entry.family] += entry.generated * change
            if change > 0:
                self.live[entry.task_id] = entry
            else:
                del self.live[entry.task_id]


def fold(events: Iterable[Event], categories: Mapping[str, str]) -> Pool:
    """The pool that results from a history.

    Args:
        categories: task id -> category, of all tasks.

    Raises:
        ImpossibleEventError: an event cannot happen, or names a task that does not exist.
    """
    pool = Pool()
    for event in events:
        pool.apply(event, categories.get(event.task_id))
    return pool
