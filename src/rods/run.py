"""One run: prepares tasks and policy, runs the trainer, measures and stores the results."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rods import __version__
from rods.cache import place_libraries
from rods.config import Config
from rods.envs.base import Environment
from rods.envs.guard import GuardedEnvironment
from rods.envs.hints import Hinter
from rods.errors import OutputError, UserError
from rods.evaluate import HeldOut
from rods.extras import BENCHMARK, TRAINER, require
from rods.files.output import Output
from rods.loop import Loop
from rods.metrics import SUMMARY, Losses, MetricsFile, step_metrics, summarise, tracked
from rods.policies.registry import kind_of
from rods.policies.tasks import TaskSides, check_endpoint, choose_seeds, pipeline_of, synthesis_of
from rods.processes import Stopper, module_command
from rods.ranks import Ranks
from rods.rollout.episode import EpisodeLimits
from rods.rollout.policy import Sampling
from rods.rollout.renderer import Renderer
from rods.rollout.rollout import Rollout
from rods.rollout.runner import Runner
from rods.store.identity import check_model, check_settings, check_world
from rods.store.store import Store
from rods.synthesis.jobs import Synthesis
from rods.synthesis.supervisor import Supervisor
from rods.task import Task

MIN_FREE_BYTES = 200_000_000
LEAST_BYTES = 1_000_000  # with less, a full disk is taken for the cause of any error


class Watch(Protocol):
    """Shows a person the progress of a run. All methods may be called often."""

    def working(self, what: str, share: float) -> None: ...

    def step(self, line: dict[str, Any]) -> None: ...

    def heldout(self, step: int, progress: float, complete: float) -> None: ...

    def notice(self, line: str) -> None: ...


def train(
    config: Config, folder: Path, watch: Watch, stopper: Stopper, ranks: Ranks | None = None
) -> dict[str, Any] | None:
    """Run the closed loop in `folder`, or resume it.

    Args:
        ranks: the processes of the run, each of which calls this.

    Returns:
        The summary, or None if the run was interrupted in training; before and after that, an
        interruption raises `KeyboardInterrupt`. It can be resumed in either case. Processes other
        than the first return {} instead of the summary.

    Raises:
        UserError: the folder holds another run, or something else that a person can mend.
    """
    ranks = ranks or Ranks()
    require(*TRAINER, *(BENCHMARK if config.environment.name == "bfcl" else ()))
    require(*config.report_to)
    check_endpoint(config)
    fresh = not os.path.exists(folder)  # unlike Path.exists, raises no error for an impossible name
    opened: list[Store] = []
    ranks.decide(lambda: opened.append(_open(config, folder)))
    store = opened[0] if opened else None
    try:
        return _Run(config, folder, store, watch, stopper, ranks).go()
    except (UserError, OutputError):
        if store and not store.has_events():  # nothing has begun, so the folder is free again
            store.set_meta("config", None)
            if fresh:
                shutil.rmtree(folder, ignore_errors=True)
        raise
    except Exception as error:
        if not _no_space(error, folder):
            raise
        where = getattr(error, "filename", None) or folder
        way = "make room; the same command then resumes the run"
        raise UserError(f"{where}: no space left on the disk; {way}") from error
    finally:
        if store:
            store.close()


def _open(config: Config, folder: Path) -> Store:
    """The store of this run.

    Raises:
        UserError: the folder is unusable, or holds another run.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise UserError(f"{folder}: the trainer's libraries need a name in UTF-8") from None
    store = Store(folder)
    try:
        if shutil.disk_usage(folder).free < MIN_FREE_BYTES:
            raise UserError(f"{folder}: less than {MIN_FREE_BYTES // 10**6} MB of disk are free")
        check_settings(store, config, folder)
    except BaseException:
        store.close()
        raise
    return store


def _no_space(error: Exception, folder: Path) -> bool:
    """Whether a full disk is the cause; libraries report it in different ways."""
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
        return True
    return shutil.disk_usage(folder).free < LEAST_BYTES


class _Run:
    """One process of a run; the store is None in all but the first."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        store: Store | None,
        watch: Watch,
        stopper: Stopper,
        ranks: Ranks,
    ) -> None:
        self.config, self.folder, self.watch = config, folder, watch
        self.stopper, self.ranks, self._store = stopper, ranks, store
        self.supervisor: Supervisor | None = None
        self.loop: Loop | None = None

    @property
    def store(self) -> Store:
        """Of the first process."""
        assert self._store is not None
        return self._store

    def go(self) -> dict[str, Any] | None:
        place_libraries()
        config, ranks, working = self.config, self.ranks, self.watch.working
        kind = kind_of(config.policy.name)
        tasks = ranks.after_first(lambda: kind.tasks(config, working))
        ranks.agree("the settings, tools or tasks", _digest(config, tasks))
        seeds = ranks.decide(lambda: self._check(tasks))

        from rods.trainers.checkpoints import checkpoint_step, latest_checkpoint
        from rods.trainers.trl import TrlTrainer, quiet

        quiet()
        checkpoint = ranks.decide(lambda: latest_checkpoint(self.folder))
        start = checkpoint_step(checkpoint)
        policy = ranks.after_first(lambda: kind.load(config, tasks, checkpoint, working))
        ranks.agree("the model", policy.identity)
        ranks.decide(lambda: self._begin(tasks, seeds, start, policy.identity))
        runner = self._runner(tasks.environment, policy.renderer)
        self.heldout = HeldOut(config, self._store, runner, tasks, policy.seeded, self.watch, ranks)
        trainer = TrlTrainer(
            config,
            self.loop,
            runner,
            policy,
            self.folder,
            self._on_step,
            self.heldout.on_epoch,
            self.stopper,
            ranks,
        )
        if start == 0:
            self.heldout.measure("test", 0)
            self.heldout.on_epoch(0, 0)
        if start < config.steps:  # else the run was killed after its last step
            ranks.decide(self._prolong)
            with self._worker():
                trainer.train()
            if not trainer.finished:
                return None
        self.heldout.measure("validation", config.steps)
        self.heldout.measure("test", config.steps)
        return self._summary() if ranks.first else {}

    def _check(self, tasks: TaskSides) -> list[Task]:
        """The run's seed tasks, after the checks that all tasks are those of this run."""
        if self.config.arm != "static":
            pipeline_of(self.config, tasks)  # a worker would find only later that there is none
        every = [task for side in tasks.sides.values() for task in side]
        check_world(self.store, tasks.environment, every, self.folder)
        self.store.set_meta("notice", tasks.notice)
        self.store.set_meta("realisation", tasks.counts())
        self.store.set_meta("left_out", dict(tasks.left_out))
        seeds = choose_seeds(tasks.train, self.config)
        self.config.check_categories(task.category for task in seeds)
        return seeds

    def _begin(self, tasks: TaskSides, seeds: list[Task], start: int, model: str) -> None:
        """What only the first process has: the loop and its files."""
        check_model(self.store, model, self.folder)
        notice = self.watch.notice
        self.loop = loop = Loop(
            self.config, self.store, seeds, self._synthesis(tasks), start, notice
        )
        self.losses = Losses(self.folder, lambda i: loop.task(i).label, notice)
        self.metrics = MetricsFile(self.folder, self.store)

    def _synthesis(self, tasks: TaskSides) -> Synthesis | None:
        """What makes variants in this process, if anything does."""
        if self.config.arm == "static" or self._by_worker:
            return None
        return synthesis_of(self.config, tasks, self.folder, self.watch.notice)

    def _runner(self, env: Environment, renderer: Renderer) -> Runner:
        """Plays episodes; the policy's calls are guarded, those of synthesis are our own."""
        tools, rollout = self.config.environment, self.config.rollout
        return Runner(
            GuardedEnvironment(env, tools.limits, tools.bounds) if tools.guarded else env,
            renderer,
            EpisodeLimits(attempts=rollout.attempts),
            rollout.token_budget,
            Hinter() if rollout.hints else None,
            Sampling(rollout.action_tokens, rollout.temperature),
        )

    def _summary(self) -> dict[str, Any]:
        summary = summarise(self.config, self.store, self.metrics.lines, self._gave_up())
        if self.supervisor:
            state = self.supervisor.state
            summary["worker"] = {"restarts": state.restarts, "gave_up": state.gave_up}
        Output(self.folder / SUMMARY).write(json.dumps(summary, indent=1) + "\n")
        return summary

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

    @contextmanager
    def _worker(self) -> Iterator[None]:
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

    def _gave_up(self) -> str:
        """Why synthesis was given up, or ""."""
        if self.supervisor:
            return self.supervisor.state.gave_up
        return self.loop.producer.errors.gave_up if self.loop else ""

    @property
    def _by_worker(self) -> bool:
        rods = self.config.arm == "rods" and self.config.synthesis.mode == "background"
        return rods and self.ranks.first

    def _on_step(
        self, step: int, rollouts: Sequence[Rollout], logs: dict[str, float], seconds: float
    ) -> dict[str, float]:
        """Store and show a step; returns what the trackers get."""
        assert self.loop is not None
        line = step_metrics(self.loop, step, rollouts, logs, seconds, self._gave_up())
        with self.store.transaction():
            self.store.add_metrics(step, line)
            for rollout in rollouts[:: self.config.rollout.group_size]:
                lines = [[*line] for line in rollout.conversation.lines()]
                found = (rollout.task_id, rollout.progress, rollout.ending.value, lines)
                self.store.add_episode(step, *found)
        self.metrics.append(line)
        self.watch.step(line)
        self.losses.observe(rollouts)
        return tracked(line, self.store.funnel(), self.heldout.latest)


def _digest(config: Config, tasks: TaskSides) -> str:
    """Of all that the processes of a run must have in common."""
    ids = [task.id for side in tasks.sides.values() for task in side]
    known = [__version__, config.model_dump(mode="json"), tasks.environment.version, ids]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
