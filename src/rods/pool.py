"""The dynamic replay buffer (paper section 8): injection, burn-in, retirement, pruning, resting.

The state is a fold over the store's events, so it can always be rebuilt. Only the end of an epoch
changes the active set; original tasks may rest but never leave.

Departure from the paper: under the variance rule a generated task also retires when its group was
constant ("no signal"), and originals without signal may rest for some epochs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rods.boundary import BoundaryRule, Group, MeanRule
from rods.config import PoolConfig
from rods.store import Event
from rods.task import Task


@dataclass
class Entry:
    """A task's place in the pool. States: trial (burn-in), active, resting, retired."""

    task: Task
    state: str
    since: int
    generated: bool
    last: Group | None = None
    last_chosen: int | None = None

    @property
    def live(self) -> bool:
        return self.state in ("trial", "active")


@dataclass
class Pool:
    """The tasks an epoch is drawn from."""

    config: PoolConfig
    rule: BoundaryRule
    entries: dict[str, Entry] = field(default_factory=dict)
    retired: Counter[str] = field(default_factory=Counter)
    injected: int = 0

    def apply(self, event: Event, task: Task) -> None:
        """Fold one event into the state."""
        if event.kind == "seeded":
            self.entries[task.id] = Entry(task, "active", event.epoch, generated=False)
        elif event.kind == "injected":
            self.entries[task.id] = Entry(task, "trial", event.epoch, generated=True)
            self.injected += 1
        elif event.kind == "chosen":
            self.entries[task.id].last_chosen = event.step
        else:
            entry = self.entries[task.id]
            entry.since = event.epoch
            entry.state = {"passed": "active", "woken": "active", "rested": "resting"}.get(
                event.kind, "retired"
            )
            if event.kind == "retired":
                self.retired[event.reason] += 1

    def observe(self, groups: Iterable[Group]) -> None:
        """Remember the latest group of each task."""
        for group in groups:
            if group.task_id in self.entries:
                self.entries[group.task_id].last = group

    def live(self) -> list[Entry]:
        """What may be drawn, in order of arrival."""
        return [e for e in self.entries.values() if e.live]

    def originals(self) -> list[Entry]:
        """The human seeds, resting or not."""
        return [e for e in self.entries.values() if not e.generated]

    def generated(self) -> list[Entry]:
        return [e for e in self.live() if e.generated]

    def last_chosen(self) -> dict[str, int]:
        """Task id -> step at which it was last chosen as a seed, of those that ever were."""
        return {i: e.last_chosen for i, e in self.entries.items() if e.last_chosen is not None}

    def value(self, entry: Entry) -> float:
        """The rule's priority of a task's latest group; 1.0 while it is untried."""
        return self.rule.priority(entry.last) if entry.last else 1.0

    def room(self) -> int:
        """How many tasks may be injected now: beta * |active|, measured before injection."""
        return int(self.config.beta * len(self.live())) if self.config.p_max else 0

    def retire(self, step: int, epoch: int) -> list[Event]:
        """Verdicts at the end of `epoch` on tasks that were rolled out in it."""
        events = []
        for entry in self.live():
            group = entry.last
            seen = group is not None and group.epoch == epoch
            if entry.generated:
                reason = self._reason(entry, epoch) if seen else ""
                if reason:
                    events.append(Event(step, epoch + 1, entry.task.id, "retired", reason))
                elif seen and entry.state == "trial":
                    events.append(Event(step, epoch + 1, entry.task.id, "passed"))
            elif seen and self.config.rest_epochs and group is not None and group.constant:
                events.append(Event(step, epoch + 1, entry.task.id, "rested", group.signal.value))
        for entry in self.entries.values():
            if entry.state == "resting" and epoch + 1 - entry.since >= self.config.rest_epochs:
                events.append(Event(step, epoch + 1, entry.task.id, "woken"))
        return events

    def prune(self, step: int, epoch: int) -> list[Event]:
        """Over P_max the least valuable observed tasks go; untried ones are never pruned."""
        generated = self.generated()
        tried = [e for e in generated if e.last is not None]
        tried.sort(key=lambda e: (self.value(e), e.task.id))
        over = max(0, len(generated) - self.config.p_max)
        return [Event(step, epoch + 1, e.task.id, "retired", "pruned") for e in tried[:over]]

    def _reason(self, entry: Entry, epoch: int) -> str:
        group = entry.last
        if group is None:
            return ""
        if entry.state == "trial" and group.mean < self.config.burn_in:
            return "failed burn-in"
        if group.mean > self.config.mastered:
            return "mastered"
        if group.mean < self.config.hard:
            return "too hard"
        if group.constant and not isinstance(self.rule, MeanRule):
            return "no signal"
        stale = self.config.stale_epochs
        if stale is not None and epoch + 1 - entry.since >= stale:
            return "stale"
        return ""
