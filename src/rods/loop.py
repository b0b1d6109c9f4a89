"""The closed loop in four calls that any trainer can make.

    tasks = loop.next_tasks()  # of the next training step
    loop.add_groups(groups)    # the K rewards of each task
    step = loop.save()         # store it with the policy's checkpoint
    loop.load(step)            # back to the state of that checkpoint

The loop begins and ends epochs itself. All changes are on disk before a call returns. The arms
"static" and "fresh" are this loop too.

Departure from the paper: synthesis may also run inline, at an epoch's end, so that a run can be
repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache

from rods.config import Config
from rods.curriculum.curriculum import Curriculum
from rods.curriculum.pool import Event
from rods.errors import UserError, log_notice
from rods.group import Due, Group, GroupRewards
from rods.history import begin, check_reached, next_stage, possible, restore
from rods.stages import Stage
from rods.store.schema import Epoch
from rods.store.store import Store
from rods.synthesis.ahead import Executor
from rods.synthesis.jobs import NoSynthesis, Synthesis
from rods.synthesis.worker import Producer
from rods.task import Task


class Loop:
    """State of a run between training steps. After an error in one of its calls, call `load`.

    Args:
        seeds: the seed tasks; used only where a run begins.
        synthesis: makes variants inline, or fresh tasks; None if a worker makes them.
        step: see `load`; None for the latest step in the store.
        notice: called with one line for an error in synthesis, and when synthesis is given up.
        executor: other processes that make inline variants, with the same result.

    Raises:
        UserError: `synthesis` is given in background mode; no seed tasks, or one twice; see `load`.

    Attributes:
        curriculum: the pool and its rules, restored from the store.
        epoch, latest, step: the latest epoch (or None), the groups of the latest step, its number.
        until: the last training step, if known; an epoch that it cuts short makes no candidates.
    """

    curriculum: Curriculum
    epoch: Epoch | None
    latest: Sequence[Group]
    step: int
    until: int | None = None
    _given: int  # the latest step whose tasks were given

    def __init__(
        self,
        config: Config,
        store: Store,
        seeds: Collection[Task],
        synthesis: Synthesis | None = None,
        step: int | None = None,
        notice: Callable[[str], None] = log_notice,
        executor: Executor | None = None,
    ) -> None:
        self.config, self.store, self.seeds = config, store, seeds
        self.synthesis, self.queue = synthesis or NoSynthesis(), store.queue
        self.inline, self._notice = config.synthesis.mode == "inline", notice
        self._executor = executor
        if synthesis is not None and config.arm == "rods" and not self.inline:
            raise UserError("synthesis.mode is background; set it to inline, or give no synthesis")
        self.task = lru_cache(4096)(lambda task_id: store.tasks([task_id])[task_id])
        self.load(store.last_step() if step is None else step)

    @property
    def stage(self) -> Stage:
        """The stage of training that the current epoch belongs to."""
        return self.config.stage(self.epoch.stage if self.epoch else 0)

    def next_tasks(self) -> list[Task]:
        """The tasks of the next training step; between two epochs it ends one and begins the next.

        A trainer that prefetches may call it several times before `add_groups`. The list is empty
        if `until` is reached, or if the epoch has no more steps and groups of it are missing.

        Raises:
            UserError: synthesis makes no fresh tasks of the stage's categories.
        """
        return [self.task(task_id) for task_id in self.next_ids()]

    def next_ids(self) -> Sequence[str]:
        """`next_tasks` as ids: no task is read from the store."""
        if self.until is not None and self._given >= self.until:
            return []
        if not self._ids(self._given + 1):
            if self._given > self.step:
                return []
            if self.epoch_done():
                self.end_epoch()
            self._begin_epoch()
        self._want()
        self._given += 1
        return self._ids(self._given)

    def add_groups(self, groups: Sequence[GroupRewards]) -> Sequence[Group]:
        """Add the groups of the next training step; returns them in the form that is stored.

        Args:
            groups: one for each of the step's tasks, in any order.

        Raises:
            ValueError: they are not the step's, or have impossible numbers; nothing is changed.
        """
        step, ids = self.step + 1, self._ids(self.step + 1)
        if self.epoch is None or not ids:
            raise ValueError(f"step {step} was not begun; call next_tasks() first")
        shaped, size = self.stage.reward == "format", self.config.rollout.group_size
        found = Due(step, self.epoch.number, ids, size, self._category, shaped).groups(groups)
        events = self.curriculum.observe(found)
        with self.store.transaction():
            self.store.add_groups(found)
            self.queue.add_jobs(step, self.epoch.number, self.curriculum.selection.parents)
            self.store.add_events(events)
        self.step, self._given, self.latest = step, max(self._given, step), found
        return found

    def epoch_done(self) -> bool:
        """Whether the current epoch has all its groups and was not ended."""
        return bool(self.epoch and self.epoch.closed is None and not self._ids(self.step + 1))

    def end_epoch(self) -> list[Event]:
        """Retire, make variants (inline), inject them at the next step; ValueError: groups miss."""
        if self.epoch is None or not self.epoch_done():
            raise ValueError(f"step {self.step}: no epoch can end now")
        index, step, events = self.epoch.number, self.step + 1, list[Event]()
        if self.curriculum.expands:
            events += self.curriculum.retire(step, index)
            if self.inline:
                self.producer.fill(self.curriculum.room(), index, step)
            with possible(self.store):
                events += self.curriculum.admit(self.queue.waiting(index), step, index)
        with self.store.transaction(fold=False):
            self.store.add_events(events)
            self.store.epochs.close(index, step, self.curriculum.admission.carried)
        self.epoch = self.epoch._replace(closed=step)
        return events

    def save(self) -> int:
        """The step of the stored state; store it with the policy's checkpoint, for `load`."""
        return self.step

    def load(self, step: int) -> None:
        """Restore the state after `step` training steps; later rows are removed from the store.

        Raises:
            UserError: the store ends before that step.
        """
        check_reached(self.store, step)
        self.step = self._given = step
        self.curriculum, self.latest = Curriculum(self.config, self.task), ()
        self.synthesis.forget(self.store.rollback(step, queues=self.inline))
        self.producer = Producer(
            self.store, self.synthesis, self.config, self._notice, self._executor
        )
        self.epoch, self._wanted = self.store.epochs.last(), self.store.epochs.wanted()
        self.curriculum.stage = self.stage
        if self.epoch is None and not self.store.has_events():
            begin(self.store, self.curriculum, self.synthesis, self.seeds)
            return
        restore(self.store, self.curriculum, self.epoch)
        if self.inline or self.config.arm == "fresh":
            self.producer.catch_up()

    def _begin_epoch(self) -> None:
        """Draw an epoch, and store it with its stage."""
        index, fresh = self.epoch.number + 1 if self.epoch else 0, list[Task]()
        number = next_stage(self.config, self.store, self.epoch, self.step)
        self.curriculum.stage = stage = self.config.stage(number)
        try:
            if self.config.arm == "fresh":
                fresh += self.producer.fresh(stage, index, len(self.seeds))
            ids = [task.id for task in fresh] or self.curriculum.sample(index)
            with self.store.transaction(fold=False):
                self.store.add_tasks(fresh, self.step + 1)
                self.store.epochs.add(index, self.step + 1, ids, number)
        except BaseException:
            self.synthesis.forget([task.id for task in fresh])  # they are not stored
            raise
        self.epoch, self._wanted = Epoch(index, self.step + 1, None, number, ids), 0

    def _want(self) -> None:
        """Store how many candidates the epoch's end can admit, unless `until` cuts it short."""
        cut = self.until is not None and self._ids(self.until)
        if self.epoch and not (self._wanted or cut) and self.curriculum.expands:
            self._wanted = self.store.epochs.want(self.epoch.number, self.curriculum.wanted())

    def _ids(self, step: int) -> Sequence[str]:
        return self.epoch.ids(step, self.config.rollout.tasks_per_step) if self.epoch else []

    def _category(self, task_id: str) -> str:
        return (self.curriculum.pool.entries.get(task_id) or self.task(task_id)).category
