"""The closed loop: draw an epoch, watch the rewards, vary what lies at the boundary, let go.

Any trainer can drive it: `next_epoch()` gives the tasks in their fixed order, `observe()` takes
the groups of each training step, `end_epoch()` retires, synthesises and injects. Everything is on
disk before the call returns; `resume(step)` goes back to what belongs to a checkpoint.

Departures from the paper: synthesis runs in a process of its own (`rods.synthesis.worker`) or
inline at the epoch's end, then for exactly as many variants as may be injected, so that a run is
repeatable; the comparison arms "static" (no variants) and "fresh" (a new task for every group) are
the same loop with that step left out or replaced.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from rods.config import Config, Stage
from rods.due import Due
from rods.errors import UserError
from rods.group import Group
from rods.notice import tell_log
from rods.pool.buffer import ReplayBuffer
from rods.pool.event import Event, ImpossibleEventError
from rods.pool.order import draw
from rods.pool.pool import Pool
from rods.store.database import DAMAGED, FILE
from rods.store.rows import EpochRow
from rods.store.store import Store
from rods.synthesis.jobs import NoSynthesis, Synthesis
from rods.synthesis.worker import Producer
from rods.task import Task

CACHED = 4096  # tasks that are kept in memory; the others are read when they are drawn
SEEDING = 2_000  # tasks a batch
BARREN = 1_000  # fresh tasks in a row that cannot be used


@dataclass(frozen=True)
class Epoch:
    """Tasks to be rolled out, in order; `Loop.steps` gives the tasks themselves.

    Attributes:
        first_step: the training step that the first of them belongs to.
        skip: how many were already trained on before a resume.
    """

    index: int
    first_step: int
    ids: Sequence[str]
    stage: Stage
    skip: int = 0


class Loop:
    """State of a run between training steps. After an error in one of its calls, `resume`.

    Args:
        seeds: the human-made tasks; only looked at where a run begins.
        synthesis: who makes variants inline, or fresh tasks; None where a worker does it.
        step: updates that the policy has behind it.
        tell: called with one line when synthesis ends in an error, and when it is given up; the
            log "rods" if it is left out.

    Raises:
        UserError: `synthesis.mode` is background and `synthesis` is given; or there are no seeds,
            or a seed occurs twice.

    Attributes:
        buffer: the replay buffer, rebuilt from the store.
        latest: the groups of the latest step.
        until: the step after which the trainer ends, so that it comes to the end of no epoch which
            that step is in; None if it is not known.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        seeds: Collection[Task],
        synthesis: Synthesis | None = None,
        step: int = 0,
        tell: Callable[[str], None] = tell_log,
    ) -> None:
        self.config, self.store, self.seeds = config, store, seeds
        self.synthesis = synthesis or NoSynthesis()
        self.inline = config.synthesis.mode == "inline"
        if synthesis is not None and config.arm == "rods" and not self.inline:
            message = "is background, where a worker makes the variants; set it to inline"
            raise UserError(f"synthesis.mode: {message}, or hand no synthesis to the loop")
        self.queue = store.queue
        self.queue.patience = config.synthesis.patience
        most = config.synthesis.errors
        self.producer = Producer(store, self.synthesis, config.seed, most, tell)
        self.until: int | None = None
        self.task = lru_cache(CACHED)(lambda task_id: store.tasks([task_id])[task_id])
        self.resume(step)

    def resume(self, step: int) -> None:
        """Take up the state after `step` updates, forgetting whatever the trainer did later.

        Raises:
            UserError: the store ends before that step.
        """
        last = self.store.last_step()
        if last < step:
            message = f"the store ends at step {last}, before the checkpoint at step {step}"
            way = f"bring {FILE}-wal back if it is missing, or remove that checkpoint to go on"
            raise UserError(f"{self.store.folder}: {message}; {way}")
        if step < 0:
            raise ValueError(f"step {step}: updates are counted from 0")
        self.step, self.buffer = step, ReplayBuffer(self.config)
        self.latest: Sequence[Group] = ()
        self.store.rollback(step, queues=self.inline)
        self.epoch: EpochRow | None = self.store.epochs.last()
        if self.epoch is None and not self.store.has_events():
            self._seed()
        else:
            self._replay()

    @property
    def pool(self) -> Pool:
        """The state of the replay buffer."""
        return self.buffer.pool

    def next_epoch(self) -> Epoch:
        """The epoch in progress if one was interrupted, else a new one.

        Raises:
            UserError: synthesis makes no fresh tasks of the stage's categories.
        """
        size, known = self.config.rollout.tasks_per_step, self.epoch
        if known and self.epoch_done():
            self.end_epoch()
        elif known and known.closed is None:
            return self._told(known, skip=(self.step - known.step + 1) * size)
        index = known.epoch + 1 if known else 0
        rng = random.Random(f"{self.config.seed} epoch {index}")
        fresh = list(self._fresh(rng, index)) if self.config.arm == "fresh" else []
        categories = frozenset(self.config.stage(index).categories)
        ids = [t.id for t in fresh] or draw(self.pool, size, categories, index, rng)
        self.epoch = EpochRow(index, self.step + 1, None, ids)
        with self.store.transaction(fold=False):
            self.store.add_tasks(fresh, self.step + 1)
            self.store.epochs.add(index, self.step + 1, ids, self._wanted(index, len(ids)))
        return self._told(self.epoch)

    def steps(self, epoch: Epoch) -> Iterator[list[Task]]:
        """The tasks of each training step that is left of an epoch."""
        size = self.config.rollout.tasks_per_step
        for start in range(epoch.skip, len(epoch.ids), size):
            yield [self.task(task_id) for task_id in epoch.ids[start : start + size]]

    def observe(self, groups: Sequence[Group]) -> None:
        """Take the finished groups of the next training step.

        Args:
            groups: one for each of the step's tasks, in any order.

        Raises:
            ValueError: they are not those of that step, or cannot be what was measured. Nothing
                has changed then.
        """
        if fault := self._due().fault(groups):
            raise ValueError(fault)
        step, epoch = self.step + 1, groups[0].epoch
        stage = frozenset(self.config.stage(epoch).categories)
        seeds = self.buffer.observe(groups, expand=self._expands(epoch), stage=stage).seeds
        events = [Event(step, epoch, seed.task_id, "chosen") for seed in seeds]
        self.buffer.apply(events)
        with self.store.transaction():
            self.store.add_groups(groups)
            self.queue.add_jobs(step, epoch, seeds)
            self.store.add_events(events)
        self.step, self.latest = step, groups

    def epoch_done(self) -> bool:
        """Whether every task of the current epoch was trained on and it is not ended yet."""
        epoch, size = self.epoch, self.config.rollout.tasks_per_step
        if epoch is None or epoch.closed is not None:
            return False
        return (self.step - epoch.step + 1) * size >= len(epoch.task_ids)

    def end_epoch(self) -> list[Event]:
        """Retire, synthesise (inline) and inject; what changes belongs to the following step.

        Raises:
            ValueError: there is no epoch whose tasks were all trained on and that has not ended.
        """
        if self.epoch is None or not self.epoch_done():
            raise ValueError(f"no epoch can end now: {self._progress()}")
        index, step = self.epoch.epoch, self.step + 1
        gone, came = list[Event](), list[Event]()
        if self._expands(index):
            gone = self.buffer.retire(step, index)
            if self.inline:
                self.producer.fill(self.buffer.room(), index, step)
            with self._sound():
                came = self.buffer.admit(self.queue.waiting(index), step, index)
        with self.store.transaction(fold=False):
            self.store.add_events([*gone, *came])
            self.store.epochs.close(index, step, self.buffer.admission.carried)
        self.epoch = self.epoch._replace(closed=step)
        return [*gone, *came]

    def _expands(self, epoch: int) -> bool:
        return self.config.arm == "rods" and self.config.stage(epoch).expand

    def _wanted(self, epoch: int, tasks: int) -> int:
        """Candidates that the end of an epoch of so many tasks can take in."""
        last = self.step + tasks // self.config.rollout.tasks_per_step
        ends = self.until is None or last < self.until
        return self.buffer.wanted() if ends and self._expands(epoch) else 0

    def _fresh(self, rng: random.Random, index: int) -> Iterator[Task]:
        """A new task for each place of an epoch."""
        size, stage = self.config.rollout.tasks_per_step, self.config.stage(index)
        wanted, made, barren = max(1, len(self.seeds) // size) * size, set[str](), 0
        while len(made) < wanted:
            task = self.synthesis.fresh(rng, index)
            known = task.id in made or self.store.has_task(task.id)
            if task.category in stage.categories and not known:
                made.add(task.id)
                barren = 0
                yield task
            elif (barren := barren + 1) >= BARREN:
                names = ", ".join(category.value for category in stage.categories)
                found = f"the last {BARREN} of them are known or none of {names}"
                raise UserError(f"--arm fresh: synthesis makes no new tasks ({found})")

    def _seed(self) -> None:
        """Begin: all seeds at once or none.

        Raises:
            UserError: there are none, or one occurs twice.
        """
        if not len(self.seeds):
            raise UserError("no seeds: a run begins with at least one task")
        with self.store.transaction():
            for batch in _batches(self.seeds):
                events = [Event(0, 0, task.id, "seeded") for task in batch]
                categories = {task.id: task.category.value for task in batch}
                self.store.add_tasks(batch, 0)
                self.store.add_events(events)
                try:
                    self.buffer.apply(events, categories)
                except ImpossibleEventError:
                    raise UserError(_doubled(self.seeds)) from None
                for task in batch:
                    self.synthesis.learn(task)

    def _replay(self) -> None:
        """The state as if never interrupted: from the events, and from what rules saw."""
        store, open_epoch = self.store, -1
        if self.epoch is not None and self.epoch.closed is None:
            open_epoch = self.epoch.epoch

        def judged(epoch: int) -> bool:
            return epoch == open_epoch and self._expands(epoch)

        with self._sound():
            events, groups = store.iter_events(), store.iter_groups()
            self.buffer.replay(events, store.categories(), groups, judged, store.epochs.carried())
        if self.inline or self.config.arm == "fresh":
            self.producer.catch_up()

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """What the store says must be able to have happened."""
        try:
            yield
        except ImpossibleEventError as error:
            file = self.store.folder / FILE
            raise UserError(f"{file}: its history says that {error}; {DAMAGED}") from None

    def _due(self) -> Due:
        """The groups that the next training step must deliver.

        Raises:
            ValueError: no step is due.
        """
        epoch, rollout = self.epoch, self.config.rollout
        if epoch is None or epoch.closed is not None or self.epoch_done():
            raise ValueError(f"no step is due: {self._progress()}; draw an epoch by next_epoch()")
        start = (self.step - epoch.step + 1) * rollout.tasks_per_step
        return Due(
            self.step + 1,
            epoch.epoch,
            epoch.task_ids[start : start + rollout.tasks_per_step],
            rollout.group_size,
            self._category,
            self.config.stage(epoch.epoch).reward == "format",
        )

    def _category(self, task_id: str) -> str:
        entry = self.pool.entries.get(task_id)
        return entry.category if entry else self.task(task_id).category.value

    def _progress(self) -> str:
        """Where the run is, for messages."""
        if self.epoch is None:
            return "none was drawn"
        if self.epoch.closed is not None:
            return f"epoch {self.epoch.epoch} has ended"
        done = (self.step - self.epoch.step + 1) * self.config.rollout.tasks_per_step
        return f"{done} of {len(self.epoch.task_ids)} tasks of epoch {self.epoch.epoch} are trained"

    def _told(self, epoch: EpochRow, skip: int = 0) -> Epoch:
        return Epoch(epoch.epoch, epoch.step, epoch.task_ids, self.config.stage(epoch.epoch), skip)


def _doubled(tasks: Iterable[Task]) -> str:
    """Names the task that occurs twice among the seeds."""
    found: dict[str, str] = {}
    for task in tasks:
        name = task.source or task.id
        if task.id in found:
            return f"seeds: {name} is the same task as {found[task.id]}; remove one of them"
        found[task.id] = name
    return "seeds: a task occurs twice"


def _batches(tasks: Collection[Task]) -> Iterator[list[Task]]:
    batch: list[Task] = []
    for task in tasks:
        batch.append(task)
        if len(batch) == SEEDING:
            yield batch
            batch = []
    if batch:
        yield batch
