"""The driver's side of a run on verl: the loop, its store, and what the trainer asks of them.

Nothing of verl is known here. One process has one driver; the data set and the trainer find it by
`the_driver`, and a copy in another process is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from rods.clock import StepClock
from rods.config import Config
from rods.errors import UserError
from rods.evaluate import HeldOut
from rods.lead import Lead, Watch
from rods.policies.causal_model import identity_of
from rods.policies.model_tasks import ModelTasks
from rods.policies.registry import kind_of
from rods.policies.tasks import TaskSides, with_spare, with_structure
from rods.rollout.policy import Policy
from rods.rollout.rollout import Rollout, group_of
from rods.run import open_store
from rods.store.store import Store
from rods.synthesis.ahead import Executor
from rods.task import STRUCTURE
from rods.trainers.checkpoints import (
    VERL,
    checkpoint_step,
    drop_torn_checkpoints,
    keep_latest,
    latest_checkpoint,
    mark_complete,
)
from rods.trainers.verl.player import Player
from rods.trainers.verl.row import Order, Result

KEPT = 2  # complete checkpoints
PROCESSES = "processes"
"""Under this name the store has the number of processes that train."""
_DRIVER: list[Driver] = []


class Observed(NamedTuple):
    """What the update must know of a step's groups.

    Attributes:
        lost: (place, session) of the rollouts that the environment lost.
        silent: places of the tasks whose rewards are exactly equal, or which have none.
    """

    lost: frozenset[tuple[int, int]]
    silent: frozenset[int]


class Driver:
    """The loop of one run, between the steps of verl's trainer.

    Args:
        policy: makes the policy that plays held-out tasks, of a random seed and the step.
        executor: other processes that make inline variants.

    Raises:
        UserError: the folder holds another run or another trainer works in it, the tools, tasks or
            model are unusable, another number of processes wrote the checkpoint, or this process
            has a driver already.

    Attributes:
        checkpoint: the one that the run continues from, or None.
        step: updates that it contains.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        watch: Watch,
        policy: Callable[[int, int], Policy],
        executor: Executor | None = None,
    ) -> None:
        if _DRIVER:
            raise UserError(f"{folder}: this process has a run already; one process has one run")
        self.config, self.folder, self.watch, self._executor = config, folder, watch, executor
        self.store: Store = open_store(config, folder)
        try:
            self._begin(policy)
        except BaseException:
            if not self.store.has_events():  # nothing has begun, so the folder is free again
                self.store.set_meta("config", None)
            self.store.close()
            raise
        self._process = os.getpid()
        _DRIVER.append(self)

    def _begin(self, policy: Callable[[int, int], Policy]) -> None:
        config, watch = self.config, self.watch
        self.lead = Lead(config, self.folder, self.store, watch, self._executor)
        tasks: TaskSides = kind_of(config.policy.name).tasks(config, watch.working)
        assert isinstance(tasks, ModelTasks)  # the configuration for verl refuses other kinds
        identity = identity_of(tasks.renderer, tasks.tokenizer, "")
        if config.evaluation.spare:
            tasks = with_spare(config, tasks)
        if config.evaluation.structure:
            tasks = with_structure(config, tasks)
        self.lead.check(tasks)
        drop_torn_checkpoints(self.folder, VERL)
        self.checkpoint = latest_checkpoint(self.folder, VERL)
        self.step = checkpoint_step(self.checkpoint)
        self._check_processes()
        self.lead.begin(tasks, self.step, identity)
        self.loop = self.lead.loop
        self.loop.until = config.steps
        self.player = Player(config)
        runner = self.player.runner
        self.lead.heldout = HeldOut(config, self.store, runner, tasks, policy, watch)
        self.rollouts: list[Rollout] = []
        self._clock = StepClock()

    def _check_processes(self) -> None:
        """verl reads a checkpoint with as many training processes as wrote it."""
        now = self.config.hardware.processes
        wrote = self.store.meta(PROCESSES) if self.checkpoint else None
        if wrote not in (None, now):
            there = f"{self.checkpoint}: written by {wrote} training processes, not {now}"
            raise UserError(f"{there}; set hardware.gpus={wrote}")
        self.store.set_meta(PROCESSES, now)

    def worker(self) -> AbstractContextManager[None]:
        """With the synthesis worker beside the training, if the run has one."""
        return self.lead.worker()

    def begin_training(self) -> None:
        """Measure what is measured before the first step."""
        if self.step == 0:
            for side in (STRUCTURE, "test"):
                self.lead.heldout.measure(side, 0)
            self.lead.heldout.on_epoch(0, 0)
        self._clock.restart()

    def begin_step(self) -> None:
        """Measure the validation side if an epoch has just ended."""
        loop = self.loop
        if loop.epoch and loop.epoch_done() and loop.step < self.config.steps:
            self.lead.heldout.on_epoch(loop.epoch.number + 1, loop.step)

    def orders(self) -> list[Order]:
        """The tasks of the next training step.

        Raises:
            UserError: this is a copy of the process that has the loop, or the run has no more
                steps.
        """
        if os.getpid() != self._process:
            raise UserError("the tasks are drawn in the driver only: set dataloader_num_workers=0")
        tasks = self.loop.next_tasks()
        if not tasks:
            raise UserError(f"{self.folder}: no step after {self.loop.step} can begin")
        step, stage = self.loop.step + 1, self.loop.stage
        return [Order.of(task, place, step, stage) for place, task in enumerate(tasks)]

    def observe(self, results: Sequence[Result]) -> Observed:
        """Give the loop the groups of a step, once.

        Args:
            results: of all rollouts of the step, in any order.

        Raises:
            UserError: a rollout was not played, or is missing.
        """
        self._check(results)
        size = self.config.rollout.group_size
        ordered = sorted(results, key=lambda result: (result.place, result.session))
        self.rollouts = [result.rollout for result in ordered if result.rollout]
        reward = self.loop.stage.reward
        starts = range(0, len(self.rollouts), size)
        groups = [group_of(self.rollouts[i : i + size], reward) for i in starts]
        found = self.loop.add_groups(groups)
        lost = [(r.place, r.session) for r in ordered if r.rollout and r.rollout.lost]
        silent = [place for place, group in enumerate(found) if group.constant]
        return Observed(frozenset(lost), frozenset(silent))

    def _check(self, results: Sequence[Result]) -> None:
        step, rollout = self.loop.step + 1, self.config.rollout
        failed = [result.error for result in results if result.error]
        if failed:
            # One failure interrupts the other episodes of its process.
            causes = [error for error in failed if not error.startswith("Interrupted")] or failed
            lost = f"{len(failed)} of {len(results)} rollouts failed: {causes[0]}"
            raise UserError(f"step {step}: {lost}; the same command resumes the run")
        due = {(i, k) for i in range(rollout.tasks_per_step) for k in range(rollout.group_size)}
        came = [(result.place, result.session) for result in results]
        if len(came) != len(due) or set(came) != due:
            message = f"{len(came)} results came back for {len(due)} rollouts"
            raise UserError(f"step {step}: {message}; the same command resumes the run")

    def report(self, logs: Mapping[str, float]) -> dict[str, float]:
        """Store and show the step whose groups came last; returns values for the trackers."""
        took = self._clock.step()
        return self.lead.on_step(self.loop.step, self.rollouts, dict(logs), took)

    def saved(self, checkpoint: Path) -> None:
        """All processes have written their part of a checkpoint: mark it, and drop old ones."""
        mark_complete(checkpoint)
        keep_latest(self.folder, KEPT, VERL)

    def is_saved(self, step: int) -> bool:
        """Whether there is a complete checkpoint of this step."""
        return checkpoint_step(latest_checkpoint(self.folder, VERL)) == step

    def finish(self) -> dict[str, Any]:
        """Measure what is measured after the last step; write and return the summary."""
        self.lead.heldout.measure("validation", self.config.steps)
        for side in (STRUCTURE, "test"):
            self.lead.heldout.measure(side, self.config.steps)
        return self.lead.summary()

    def close(self) -> None:
        """Release the store; another process may then have the run."""
        self.store.close()
        if self in _DRIVER:
            _DRIVER.remove(self)


def the_driver() -> Driver:
    """The driver of this process.

    Raises:
        UserError: it has none, so that this would be a second copy of the pool.
    """
    if not _DRIVER:
        raise UserError("only the driver of a run has its tasks; this process is another one")
    return _DRIVER[0]
