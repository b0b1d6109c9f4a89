"""One run from preset to report: prepares the policy, drives the engine, writes the results."""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rods.config import Config
from rods.envs.base import Environment
from rods.envs.guard import GuardedEnvironment
from rods.envs.hints import Hinter
from rods.errors import OutputError, UserError
from rods.evaluate import evaluate
from rods.extras import BENCHMARK, TRAINER, require
from rods.identity import check_settings, check_world
from rods.loop import Loop
from rods.losses import Losses
from rods.metrics import SUMMARY, MetricsFile, step_metrics, summarise
from rods.micro.cache import place_libraries
from rods.micro.prepare import prepare
from rods.micro.synthesis import check_endpoint, synthesis_of
from rods.output import Output
from rods.processes import module_command
from rods.rollout.episode import EpisodeLimits
from rods.rollout.policy import Sampling
from rods.rollout.rollout import Rollout
from rods.rollout.runner import Runner
from rods.stopper import Stopper
from rods.store.store import Store
from rods.synthesis.supervisor import Supervisor
from rods.task import OVERALL, Task, by_category

MIN_FREE_BYTES = 200_000_000
LEAST_BYTES = 1_000_000  # with less, whatever fails fails for want of space


class Watch(Protocol):
    """Shows a person what happens. All methods may be called often."""

    def working(self, what: str, share: float) -> None: ...

    def step(self, line: dict[str, Any]) -> None: ...

    def heldout(self, step: int, progress: float, complete: float) -> None: ...

    def notice(self, line: str) -> None: ...


def train(config: Config, folder: Path, watch: Watch, stopper: Stopper) -> dict[str, Any] | None:
    """Run, or go on with, the closed loop in `folder`.

    Returns:
        The summary, or None if the run was interrupted in training; before and after that, an
        interruption raises `KeyboardInterrupt`. It can be taken up again in either case.

    Raises:
        UserError: the folder belongs to another run, or something that a person can mend.
    """
    require(*TRAINER, *(BENCHMARK if config.environment.name == "bfcl" else ()))
    check_endpoint(config)
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise UserError(f"{folder}: the trainer's libraries need a name in UTF-8") from None
    fresh = not os.path.exists(folder)  # no error for a name that no file can have
    store = Store(folder)
    try:
        if shutil.disk_usage(folder).free < MIN_FREE_BYTES:
            raise UserError(f"{folder}: less than {MIN_FREE_BYTES // 10**6} MB of disk are free")
        check_settings(store, config, folder)
        try:
            return _Run(config, folder, store, watch, stopper).go()
        except (UserError, OutputError):
            if not store.has_events():  # nothing was begun, so the folder is still free
                store.set_meta("config", None)
                if fresh:
                    shutil.rmtree(folder, ignore_errors=True)
            raise
        except Exception as error:
            if not _no_space(error, folder):
                raise
            where = getattr(error, "filename", None) or folder
            way = "make room, and the same command goes on where it stopped"
            raise UserError(f"{where}: no space left on the disk; {way}") from error
    finally:
        store.close()


def _no_space(error: Exception, folder: Path) -> bool:
    """Whether a full disk is the cause; libraries tell of it in ways of their own."""
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
        return True
    return shutil.disk_usage(folder).free < LEAST_BYTES


def _quiet() -> None:
    """Libraries' progress bars and deprecation notes would tear the display."""
    import transformers.utils.logging as library

    library.set_verbosity_error()  # type: ignore[no-untyped-call]
    library.disable_progress_bar()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl)\b")
    logging.getLogger("trl").setLevel(logging.ERROR)  # we report lost rollouts ourselves


class _Run:
    def __init__(
        self, config: Config, folder: Path, store: Store, watch: Watch, stopper: Stopper
    ) -> None:
        self.config, self.folder, self.store, self.watch = config, folder, store, watch
        self.stopper = stopper
        self.supervisor: Supervisor | None = None

    def go(self) -> dict[str, Any] | None:
        place_libraries()
        import torch

        from rods.engines.trl import TrlEngine, checkpoint_step, latest_checkpoint
        from rods.micro.model import MicroForCausalLM
        from rods.micro.policy import MicroPolicy

        _quiet()
        torch.set_num_threads(1)
        config = self.config
        prepared = prepare(config, self.watch.working)
        self.prepared = prepared
        sides = prepared.tasks
        tasks = (*sides.train, *sides.validation, *sides.test)
        check_world(self.store, prepared.env, tasks, self.folder)
        self.store.set_meta("notice", prepared.notice)
        self.store.set_meta("realisation", prepared.tasks.counts())
        self.store.set_meta("left_out", dict(prepared.tasks.left_out))
        checkpoint = latest_checkpoint(self.folder)
        start = checkpoint_step(checkpoint) if checkpoint else 0
        seeds = choose_seeds(prepared.tasks.train, config)
        config.check_categories(task.category for task in seeds)
        beside = config.arm == "static" or self._by_worker
        synthesis = (
            None if beside else synthesis_of(config, prepared, self.folder, self.watch.notice)
        )
        self.loop = Loop(config, self.store, seeds, synthesis, start, self.watch.notice)
        self.losses = Losses(self.folder, self._name_of, self.watch.notice)
        self.metrics = MetricsFile(self.folder, self.store)
        self.runner = Runner(
            self._environment(prepared.env),
            prepared.renderer,
            EpisodeLimits(attempts=config.rollout.attempts),
            config.rollout.token_budget,
            Hinter() if config.rollout.hints else None,
            Sampling(config.rollout.action_tokens, config.rollout.temperature),
        )
        # A run that was killed after its last step is only measured, and never gets to the engine.
        model = MicroForCausalLM.from_pretrained(checkpoint or prepared.model)
        self.rows = config.rollout.group_size * config.rollout.tasks_per_step
        self.policy = MicroPolicy(
            model, prepared.renderer, max(self.rows, 128), config.rollout.token_budget
        )
        engine = TrlEngine(
            config,
            self.loop,
            self.runner,
            model,
            prepared.renderer.tokenizer.to_transformers(prepared.renderer.eos),
            self.policy.seeded,
            self.folder,
            self._on_step,
            self._on_epoch,
            self.stopper,
        )
        if start == 0:
            self._evaluate("test", 0)
            self._on_epoch(0, 0)
        if start < config.steps:
            self._prolong()
            with self._worker():
                engine.train()
            if not engine.finished:
                return None
        self._evaluate("validation", config.steps)
        self._evaluate("test", config.steps)
        summary = summarise(config, self.store, self.metrics.lines, self._gave_up())
        if self.supervisor:
            state = self.supervisor.state
            summary["worker"] = {"restarts": state.restarts, "gave_up": state.gave_up}
        Output(self.folder / SUMMARY).write(json.dumps(summary, indent=1) + "\n")
        return summary

    def _prolong(self) -> None:
        """Let a run that was finished go on."""
        if not (self.folder / SUMMARY).exists():
            return
        (self.folder / SUMMARY).unlink()
        if self.config.optimizer.schedule != "constant":
            self.watch.notice(
                f"the learning rate falls until step {self.config.steps} now; a run that was begun"
                " with so many steps had other rates up to here"
            )

    @contextmanager
    def _worker(self) -> Iterator[None]:
        """The synthesis worker beside the training, where there is one."""
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
        """Why no variants are made any more, or ""."""
        if self.supervisor:
            return self.supervisor.state.gave_up
        return self.loop.producer.errors.gave_up

    @property
    def _by_worker(self) -> bool:
        return self.config.arm == "rods" and self.config.synthesis.mode == "background"

    def _environment(self, env: Environment) -> Environment:
        """Where the policy's calls run; synthesis, whose calls are our own, stays outside."""
        config = self.config.environment
        return GuardedEnvironment(env, config.limits, config.bounds) if config.guarded else env

    def _on_step(
        self, step: int, rollouts: Sequence[Rollout], logs: dict[str, float], seconds: float
    ) -> None:
        line = step_metrics(self.loop, step, rollouts, logs, seconds, self._gave_up())
        with self.store.transaction():
            self.store.add_metrics(step, line)
            for rollout in rollouts[:: self.config.rollout.group_size]:
                self._keep_episode(step, rollout)
        self.metrics.append(line)
        self.watch.step(line)
        self.losses.observe(rollouts)

    def _name_of(self, task_id: str) -> str:
        task = self.loop.task(task_id)
        return task.source or task.id

    def _on_epoch(self, epoch: int, step: int) -> None:
        every = self.config.evaluation.validation_every
        if every and epoch % every == 0:
            self._evaluate("validation", step)

    def _evaluate(self, side: str, step: int) -> None:
        found = [e for e in self.store.evaluations() if (e.side, e.step) == (side, step)]
        if not found:
            config, tasks = self.config.evaluation, self.prepared.tasks
            found = evaluate(
                self.runner,
                tasks.test if side == "test" else tasks.validation,
                self.policy.seeded(self.config.seed * 1_000_003 + 500_000 + step, step),
                samples=config.test_samples if side == "test" else config.validation_samples,
                rows=max(self.rows, 128),
                step=step,
                side=side,
                tick=lambda share: self.watch.working(f"measuring on {side} tasks", share),
            )
            with self.store.transaction():
                self.store.add_evaluation(found)
        overall = next(e for e in found if e.category == OVERALL)
        if side == "validation":
            self.watch.heldout(step, overall.progress, overall.complete)

    def _keep_episode(self, step: int, rollout: Rollout) -> None:
        self.store.add_episode(
            step,
            rollout.task_id,
            rollout.progress,
            rollout.ending.value,
            [[*line] for line in rollout.conversation.lines()],
        )


def choose_seeds(tasks: Sequence[Task], config: Config) -> list[Task]:
    """The run's seeds: as many of each category, drawn by the run's seed; all of the user's own.

    Raises:
        UserError: that are none, or more than there are training tasks.
    """
    if config.environment.tasks is not None:
        return list(tasks)
    rng = random.Random(f"seeds {config.seed}")
    groups = list(by_category(tasks).values())
    each, most = config.pool.seeds // max(1, len(groups)), min(map(len, groups), default=0)
    if not 1 <= each <= most:
        bounds = f"at least {len(groups)} and at most {most * len(groups)}"
        raise UserError(f"pool.seeds: {bounds}, as many of each category")
    return [task for found in groups for task in rng.sample(found, each)]
