"""The data of a report: a run's store, read once, and what is derived from it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rods.config import SynthesisConfig
from rods.curriculum.boundary import Thresholds
from rods.curriculum.pool import AFTER, LIVE, Event
from rods.group import Group
from rods.store.account import Account
from rods.store.schema import Evaluation
from rods.store.store import Store
from rods.task import Task

Spoken = tuple[int, float, str, list[list[str]]]


@dataclass(frozen=True)
class Record:
    """A run as it is stored.

    Attributes:
        name: the run folder's name.
        config: the run's configuration; empty if none is stored.
        notice: what a reader must know about the run's numbers.
        realisation: side -> how its tasks were made -> count.
        left_out: task that is on no side -> why.
        episodes: task id -> latest (step, progress, ending, [[role, text], ...]).
        account: the variants by their fate, and their cost.
        gave_up: why synthesis was given up, at the latest step; or "".
    """

    name: str
    config: dict[str, Any]
    notice: str
    realisation: dict[str, dict[str, int]]
    left_out: dict[str, str]
    groups: list[Group]
    events: list[Event]
    funnel: dict[str, int]
    episodes: dict[str, Spoken]
    evaluations: list[Evaluation]
    tasks: dict[str, Task]
    account: Account
    gave_up: str

    @staticmethod
    def read(store: Store) -> Record:
        """Read a store; call it within a snapshot, since a trainer may write meanwhile."""
        config = store.meta("config") or {}
        settings, lines = config.get("synthesis") or {}, store.measures.metrics()
        store.queue.patience = settings.get("patience", SynthesisConfig().patience)
        return Record(
            name=store.folder.resolve().name,
            config=config,
            notice=store.meta("notice") or "",
            realisation=store.meta("realisation") or {},
            left_out=store.meta("left_out") or {},
            groups=store.groups(),
            events=store.events(),
            funnel=store.funnel(),
            episodes=store.episodes(),
            evaluations=store.measures.heldout(),
            tasks=store.tasks(),
            account=Account.of(store),
            gave_up=(lines[-1].get("synthesis") or {}).get("gave_up", "") if lines else "",
        )

    @cached_property
    def limits(self) -> Thresholds:
        """The run's zone limits, or the paper's."""
        found = self.config.get("boundary") or {}
        usual = Thresholds()
        return Thresholds(found.get("low", usual.low), found.get("high", usual.high))

    @cached_property
    def steps(self) -> int:
        """Training steps done."""
        return max((group.step for group in self.groups), default=0)

    @cached_property
    def by_epoch(self) -> dict[int, list[Group]]:
        """Groups of each epoch, in order."""
        found: dict[int, list[Group]] = defaultdict(list)
        for group in self.groups:
            found[group.epoch].append(group)
        return dict(sorted(found.items()))

    @cached_property
    def measured(self) -> dict[int, list[Group]]:
        """Complete groups of each epoch; incomplete ones say too little about the task."""
        whole = {e: [g for g in groups if g.complete] for e, groups in self.by_epoch.items()}
        return {epoch: groups for epoch, groups in whole.items() if groups}

    @cached_property
    def firsts(self) -> dict[str, Group]:
        """The first complete group of each task that has one."""
        found: dict[str, Group] = {}
        for task_id, groups in self.by_task.items():
            if first := next((g for g in groups if g.complete), None):
                found[task_id] = first
        return found

    @cached_property
    def by_task(self) -> dict[str, list[Group]]:
        """Groups of each task, in the order of training."""
        found: dict[str, list[Group]] = defaultdict(list)
        for group in sorted(self.groups, key=lambda g: g.step):
            found[group.task_id].append(group)
        return dict(found)

    @cached_property
    def seeds(self) -> set[str]:
        """Ids of the seed tasks."""
        return {event.task_id for event in self.events if event.kind == "seeded"}

    @cached_property
    def generated(self) -> list[str]:
        """Ids of the tasks that the run made and used, in order of arrival."""
        injected = {event.task_id for event in self.events if event.kind == "injected"}
        used = injected | set(self.by_task)
        return [i for i in self.tasks if i in used and i not in self.seeds]

    @cached_property
    def parents(self) -> dict[str, str]:
        """Injected task -> its parent task."""
        return {e.task_id: e.reason for e in self.events if e.kind == "injected"}

    @cached_property
    def states(self) -> dict[str, str]:
        """Task id -> its state: trial, active, resting or retired."""
        found: dict[str, str] = {}
        for event in self.events:
            if event.kind in AFTER:
                found[event.task_id] = AFTER[event.kind]
        return found

    def sizes(self) -> dict[int, tuple[int, int]]:
        """Epoch -> (live seed tasks, live generated tasks), after the changes at its start."""
        last = max([*self.by_epoch, *(e.epoch for e in self.events)], default=-1)
        pending = sorted(self.events, key=lambda e: e.epoch)
        state: dict[str, str] = {}
        found = {}
        for epoch in range(last + 1):
            while pending and pending[0].epoch <= epoch:
                event = pending.pop(0)
                if event.kind in AFTER:
                    state[event.task_id] = AFTER[event.kind]
            live = Counter(i in self.seeds for i, s in state.items() if s in LIVE)
            found[epoch] = (live[True], live[False])
        return found
