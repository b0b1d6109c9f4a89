"""The pool: every task that ever was in it, with its state, and counts that are kept up to date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rods.group import Group
from rods.pool.event import AFTER, BEFORE, LIVE, Event, ImpossibleEventError


@dataclass(slots=True)
class Entry:
    """A task's place in the pool.

    Attributes:
        state: trial (burn-in or re-examination), active, resting or retired.
        since: epoch from which on it has been in that state.
        chosen: step at which it was last chosen as a seed, or None.
        rests: how often in a row an original was sent to rest.
        reason: of the event that brought it into its state.
        seen: last epoch in which it had a complete group, or -1. Not part of the stored state: it
            follows from the groups.
    """

    task_id: str
    category: str
    generated: bool
    state: str
    since: int
    chosen: int | None = None
    rests: int = 0
    reason: str = ""
    seen: int = -1


@dataclass
class Pool:
    """State of the replay buffer. It changes by `apply` alone.

    Attributes:
        live: tasks that may be drawn, in order of arrival or return.
        resting: originals that rest.
        size: category -> live tasks.
        generated: live tasks that were made by synthesis.
        chosen: task id -> step at which it was last chosen as a seed.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    live: dict[str, Entry] = field(default_factory=dict)
    resting: dict[str, Entry] = field(default_factory=dict)
    size: Counter[str] = field(default_factory=Counter)
    generated: int = 0
    injected: int = 0
    retired: Counter[str] = field(default_factory=Counter)
    chosen: dict[str, int] = field(default_factory=dict)

    def apply(self, event: Event, category: str | None = None) -> Entry:
        """Fold one event into the state, and return the entry that it changed.

        Args:
            category: of a task that joins; None if there is no such task.

        Raises:
            ImpossibleEventError: it cannot happen to the task in its state, or there is no task.
        """
        entry = self.entries.get(event.task_id)
        state = entry.state if entry else ""
        if state not in BEFORE[event.kind]:
            told = f"cannot be {event.kind}: it is {state or 'not in the pool'}"
            raise ImpossibleEventError(f"task {event.task_id} {told}")
        if entry is None:
            if category is None:
                told = f"was {event.kind} and is not stored"
                raise ImpossibleEventError(f"task {event.task_id} {told}")
            generated = event.kind == "injected"
            entry = Entry(event.task_id, category, generated, "", event.epoch)
            self.entries[event.task_id] = entry
            self.injected += generated
        if event.kind == "chosen":
            entry.chosen = self.chosen[entry.task_id] = event.step
            return entry
        self._move(entry, AFTER[event.kind])
        entry.since, entry.reason = event.epoch, event.reason
        if event.kind == "rested":
            entry.rests += 1
        elif event.kind == "passed":
            entry.rests = 0
        elif event.kind == "retired":
            self.retired[event.reason] += 1
        return entry

    def observe(self, groups: Iterable[Group]) -> None:
        """Remember when tasks were last seen."""
        for group in groups:
            if group.complete and (entry := self.entries.get(group.task_id)):
                entry.seen = group.epoch

    def categories(self) -> list[str]:
        """Those that a task of the pool has or had."""
        return sorted(self.size)

    def surplus(self, floor: int) -> Counter[str]:
        """Live tasks of each category beyond a floor that is to stay."""
        return Counter({category: max(0, n - floor) for category, n in self.size.items()})

    def _move(self, entry: Entry, state: str) -> None:
        was, entry.state = entry.state in LIVE, state
        now = state in LIVE
        if now and not was:
            self.live[entry.task_id] = entry
        elif was and not now:
            del self.live[entry.task_id]
        self.size[entry.category] += now - was
        self.generated += entry.generated * (now - was)
        if state == "resting":
            self.resting[entry.task_id] = entry
        else:
            self.resting.pop(entry.task_id, None)


def fold(events: Iterable[Event], categories: Mapping[str, str]) -> Pool:
    """The pool that a history makes.

    Args:
        categories: of all tasks, by id.

    Raises:
        ImpossibleEventError: an event cannot happen, or names a task that does not exist.
    """
    pool = Pool()
    for event in events:
        pool.apply(event, categories.get(event.task_id))
    return pool
