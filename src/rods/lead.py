"""What only the first process of a run has: its loop, its store, and what people see of it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rods.clock import StepTime
from rods.config import Config
from rods.errors import UserError
from rods.evaluate import HeldOut
from rods.files.output import Output
from rods.loop import Loop
from rods.metrics import SUMMARY, Losses, MetricsFile, step_metrics, summarise, tracked
from rods.policies.tasks import (
    TaskSides,
    check_synthesis,
    choose_seeds,
    pipeline_of,
    synthesis_of,
)
from rods.processes import module_command
from rods.rollout.rollout import Rollout
from rods.store.identity import check_model, check_world
from rods.store.store import Store
from rods.synthesis.ahead import Executor
from rods.synthesis.jobs import Synthesis
from rods.synthesis.supervisor import Supervisor
from rods.task import Task

OFFLINE_TRIES = 20  # for each task that is wanted


class Watch(Protocol):
    """Shows a person the progress of a run. All methods may be called often."""

    def working(self, what: str, share: float) -> None: ...

    def step(self, line: dict[str, Any]) -> None: ...

    def heldout(self, step: int, progress: float, complete: float) -> None: ...

    def notice(self, line: str) -> None: ...


class Lead:
    """The loop of a run with its store, metrics and synthesis.

    Args:
        executor: see `Loop`.

    Attributes:
        loop: after `begin`.
        heldout: the measurements, whose latest one the trackers get.
    """

    loop: Loop
    heldout: HeldOut

    def __init__(
        self,
        config: Config,
        folder: Path,
        store: Store,
        watch: Watch,
        executor: Executor | None = None,
    ) -> None:
        self.config, self.folder, self.store, self.watch = config, folder, store, watch
        self._executor = executor
        self.supervisor: Supervisor | None = None
        self._by_worker = config.arm == "rods" and config.synthesis.mode == "background"

    def check(self, tasks: TaskSides) -> None:
        """Choose the seed tasks, after the checks that all tasks are those of this run.

        Raises:
            UserError: they are not, or no variants can be made of them.
        """
        check_synthesis(self.config, tasks)  # a worker would find only later that there is none
        every = [task for side in tasks.sides.values() for task in side]
        check_world(self.store, tasks.environment, every, self.folder)
        self.store.set_meta("notice", tasks.notice)
        self.store.set_meta("realisation", tasks.counts())
        self.store.set_meta("left_out", dict(tasks.left_out))
        self._seeds = choose_seeds(tasks.train, self.config)
        self.config.check_categories(task.category for task in self._seeds)

    def begin(self, tasks: TaskSides, step: int, model: str) -> None:
        """Begin the run, or go back to the checkpoint at a step.

        Args:
            model: identity of the policy.

        Raises:
            UserError: the run began with another model, or its store cannot be resumed.
        """
        check_model(self.store, model, self.folder)
        notice, seeds = self.watch.notice, self._seeds
        if self.config.pool.offline and not self.store.has_events():
            seeds = [*seeds, *self._offline(tasks)]
        self.loop = loop = Loop(
            self.config, self.store, seeds, self._synthesis(tasks), step, notice, self._executor
        )
        self.losses = Losses(self.folder, lambda i: loop.task(i).label, notice)
        self.metrics = MetricsFile(self.folder, self.store)
        if step < self.config.steps:
            self._prolong()

    @contextmanager
    def worker(self) -> Iterator[None]:
        """With the synthesis worker in its own process, if the run has one."""
        config = self.config.synthesis
        if not self._by_worker:
            yield
            return
        self.supervisor = Supervisor(
            module_command("rods", ["synth", "--follow", str(self.folder), "--supervised"]),
            restarts=config.restarts,
            silence=config.job_seconds,
            notice=self.watch.notice,
        ).start()
        try:
            yield
        finally:
            self.supervisor.close()

    def on_step(
        self, step: int, rollouts: Sequence[Rollout], logs: dict[str, float], took: StepTime
    ) -> dict[str, float]:
        """Store and show a step; returns what the trackers get."""
        line = step_metrics(self.loop, step, rollouts, logs, took, self.gave_up)
        with self.store.transaction():
            self.store.measures.add_metrics(step, line)
            for rollout in rollouts[:: self.config.rollout.group_size]:
                lines = [[*line] for line in rollout.conversation.lines()]
                found = (rollout.task_id, rollout.progress, rollout.ending.value, lines)
                self.store.add_episode(step, *found)
        self.metrics.append(line)
        self._show_stage(line)
        self.watch.step(line)
        self.losses.observe(rollouts)
        return tracked(line, self.store.funnel(), self.heldout.latest)

    def summary(self) -> dict[str, Any]:
        """Write and return the summary of the finished run."""
        summary = summarise(self.config, self.store, self.metrics.lines, self.gave_up)
        if self.supervisor:
            state = self.supervisor.state
            summary["worker"] = {"restarts": state.restarts, "gave_up": state.gave_up}
        Output(self.folder / SUMMARY).write(json.dumps(summary, indent=1) + "\n")
        return summary

    def _show_stage(self, line: dict[str, Any]) -> None:
        """Say that a stage begins, if it is not the one of the step before."""
        before = self.metrics.lines[-2:-1]
        if before and before[0]["stage_number"] != (number := line["stage_number"]):
            stages = len(self.config.stages)
            what = f"stage {number + 1} of {stages}, reward {line['stage']}"
            self.watch.notice(f"epoch {line['epoch']} begins {what}")

    @property
    def gave_up(self) -> str:
        """Why synthesis was given up, or ""."""
        if self.supervisor:
            return self.supervisor.state.gave_up
        return self.loop.producer.errors.gave_up

    def _synthesis(self, tasks: TaskSides) -> Synthesis | None:
        """What makes variants in this process, if anything does."""
        if self.config.arm == "static" or self._by_worker:
            return None
        return synthesis_of(self.config, tasks, self.folder, self.watch.notice)

    def _offline(self, tasks: TaskSides) -> list[Task]:
        """Variants of random seed tasks, which are made before training.

        Raises:
            UserError: too few can be made.
        """
        synthesis, count = pipeline_of(self.config, tasks), self.config.pool.offline
        rng, made, tried = random.Random(f"{self.config.seed} offline"), dict[str, Task](), 0
        began = time.monotonic()
        while len(made) < count:
            if tried > OFFLINE_TRIES * count:
                raise UserError(f"pool.offline: only {len(made)} variants in {tried} attempts")
            tried += 1
            if task := synthesis.vary(rng.choice(self._seeds), rng, 0):
                synthesis.learn(task)
                made[task.id] = task
                self.watch.working("making the offline tasks", len(made) / count)
        seconds = round(time.monotonic() - began, 1)
        self.store.set_meta("offline", {"seconds": seconds, "attempts": dict(synthesis.funnel)})
        return [*made.values()]

    def _prolong(self) -> None:
        """Prepare a finished run for more steps."""
        if not (self.folder / SUMMARY).exists():
            return
        (self.folder / SUMMARY).unlink()
        if self.config.optimizer.schedule != "constant":
            self.watch.notice(
                f"the learning rate now falls until step {self.config.steps}; a run that began with"
                " so many steps had other rates up to here"
            )
