"""The closed loop: draw an epoch, watch the rewards, vary what lies at the boundary, let go.

Any trainer can drive it: `next_epoch()` gives the tasks in their fixed order, `observe()` takes
the groups of each training step, `end_epoch()` retires, synthesises and injects. Everything is in
the store before the call returns; `resume(step)` goes back to what belongs to a checkpoint.

Departures from the paper: synthesis runs inline at the epoch's end, for exactly as many variants
as may be injected, so nothing waits in a queue; the comparison arms "static" (no variants) and
"fresh" (a new task for every group) are the same loop with that step left out or replaced.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from rods.boundary import Group, Thresholds, make_rule, select_seeds
from rods.config import Config, Stage
from rods.pool import Pool
from rods.store import Event, Store
from rods.synthesis.backend import Synthesis
from rods.task import Task


@dataclass(frozen=True)
class Epoch:
    """Tasks to be rolled out, in order.

    Attributes:
        first_step: the training step that the first of them belongs to.
        skip: how many were already trained on before a resume.
    """

    index: int
    first_step: int
    tasks: tuple[Task, ...]
    stage: Stage
    skip: int = 0


@dataclass
class Loop:
    """State of a run between training steps."""

    config: Config
    store: Store
    seeds: Sequence[Task]
    synthesis: Synthesis
    step: int = 0
    tasks: dict[str, Task] = field(default_factory=dict)

    def __post_init__(self) -> None:
        limits = Thresholds(self.config.boundary.low, self.config.boundary.high)
        self.rule = make_rule(self.config.boundary.rule, limits)
        self.resume(self.step)

    def resume(self, step: int) -> None:
        """Take up the state after `step` updates, forgetting whatever came later."""
        self.step = step
        self.store.rollback(step)
        if not self.store.events():
            self._seed()
        self.tasks = self.store.tasks()
        self.pool = Pool(self.config.pool, self.rule)
        self._apply([e for e in self.store.events() if e.kind != "closed"])
        self.groups = self.store.groups()
        self.pool.observe(self.groups)

    def next_epoch(self) -> Epoch:
        """The epoch in progress if one was interrupted, else a new one."""
        size = self.config.rollout.tasks_per_step
        known = self.store.epochs()
        if known:
            index, first, ids = known[-1]
            if self.epoch_done():
                self.end_epoch()
            elif not self._closed(index):
                return self._epoch(index, first, ids, skip=(self.step - first + 1) * size)
        index = known[-1][0] + 1 if known else 0
        ids = self._draw(index)
        with self.store.transaction():
            for task_id in ids:
                self.store.add_task(self.tasks[task_id], self.step + 1)
            self.store.add_epoch(index, self.step + 1, ids)
        return self._epoch(index, self.step + 1, ids)

    def observe(self, groups: Sequence[Group]) -> None:
        """Take the finished groups of one training step, all with the same new `step`."""
        self.step = groups[0].step
        limits = self.config.boundary
        expand = self.config.arm == "rods" and self.config.stage(groups[0].epoch).expand
        chosen = select_seeds(
            groups if expand else (),
            self.rule,
            limits.quota,
            self.pool.last_chosen(),
            limits.cooldown,
        )
        events = [Event(g.step, g.epoch, g.task_id, "chosen") for g in chosen]
        with self.store.transaction():
            self.store.add_groups(groups)
            self.store.add_events(events)
        self.groups += groups
        self.pool.observe(groups)
        self._apply(events)

    def epoch_done(self) -> bool:
        """Whether every task of the current epoch was trained on and it is not ended yet."""
        known = self.store.epochs()
        if not known or self._closed(known[-1][0]):
            return False
        _, first, ids = known[-1]
        return (self.step - first + 1) * self.config.rollout.tasks_per_step >= len(ids)

    def end_epoch(self) -> list[Event]:
        """Retire, synthesise and inject; what changes belongs to the following step."""
        index = self.store.epochs()[-1][0]
        step = self.step + 1
        done = [Event(step, index + 1, "", "closed")]
        with self.store.transaction():
            if self.config.arm == "rods" and self.config.stage(index).expand:
                done += self._apply(self.pool.retire(step, index))
                done += self._apply(self._inject(step, index))
                done += self._apply(self.pool.prune(step, index))
            self.store.add_events(done)
        return done[1:]

    def _inject(self, step: int, index: int) -> list[Event]:
        """Variants of the seeds chosen in this epoch, best first, as many as there is room for."""
        room, first = self.pool.room(), self.store.epochs()[index][1]
        events: list[Event] = []
        chosen = {i for i, step in self.pool.last_chosen().items() if step >= first}
        parents = [self.pool.entries[i] for i in chosen]
        parents.sort(key=lambda e: (-self.pool.value(e), e.task.id))
        for parent in parents:
            if len(events) >= room:
                break
            before = dict(self.synthesis.funnel)
            rng = random.Random(f"{self.config.seed} {index} {parent.task.id}")
            variant = self.synthesis.vary(parent.task, rng, index + 1)
            counts = {k: n - before.get(k, 0) for k, n in self.synthesis.funnel.items()}
            self.store.add_funnel(
                step, index, parent.task.id, {k: n for k, n in counts.items() if n}
            )
            if variant is not None and variant.id not in self.tasks:
                self.store.add_task(variant, step)
                self.tasks[variant.id] = variant
                events.append(Event(step, index + 1, variant.id, "injected", parent.task.id))
        return events

    def _draw(self, index: int) -> list[str]:
        """The epoch's order: a whole number of steps, the longest unseen tasks first to be in."""
        size, stage = self.config.rollout.tasks_per_step, self.config.stage(index)
        rng = random.Random(f"{self.config.seed} epoch {index}")
        if self.config.arm == "fresh":
            return [self._fresh(rng, index) for _ in range(max(1, len(self.seeds) // size) * size)]
        everyone = self.pool.live() or self.pool.originals()  # all may be resting
        live = [e for e in everyone if e.task.category in stage.categories] or everyone
        rng.shuffle(live)
        live.sort(key=lambda e: e.last.step if e.last else -1)
        while len(live) < size:
            live += live
        ids = [e.task.id for e in live[: len(live) // size * size]]
        rng.shuffle(ids)
        return ids

    def _fresh(self, rng: random.Random, index: int) -> str:
        stage = self.config.stage(index)
        while True:
            task = self.synthesis.fresh(rng, index)
            if task.category in stage.categories and task.id not in self.tasks:
                self.tasks[task.id] = task
                return task.id

    def _seed(self) -> None:
        with self.store.transaction():
            for task in self.seeds:
                self.store.add_task(task, 0)
            self.store.add_events([Event(0, 0, task.id, "seeded") for task in self.seeds])

    def _apply(self, events: list[Event]) -> list[Event]:
        for event in events:
            self.pool.apply(event, self.tasks[event.task_id])
        return events

    def _epoch(self, index: int, first: int, ids: list[str], skip: int = 0) -> Epoch:
        tasks = tuple(self.tasks[i] for i in ids)
        return Epoch(index, first, tasks, self.config.stage(index), skip)

    def _closed(self, index: int) -> bool:
        return any(e.kind == "closed" and e.epoch == index + 1 for e in self.store.events())
