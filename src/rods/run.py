"""One run: prepares tasks and policy, runs the trainer, measures and stores the results."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from rods import __version__
from rods.cache import place_libraries
from rods.config import Config
from rods.errors import OutputError, UserError
from rods.evaluate import HeldOut
from rods.extras import BENCHMARK, TRAINER, require
from rods.lead import Lead, Watch
from rods.policies.registry import kind_of
from rods.policies.tasks import (
    TaskSides,
    check_endpoint,
    with_spare,
    with_structure,
)
from rods.preflight.machine import check_machine
from rods.processes import Stopper
from rods.ranks import Ranks
from rods.store.identity import check_settings
from rods.store.store import Store
from rods.task import STRUCTURE
from rods.training_runner import training_runner

MIN_FREE_BYTES = 200_000_000
LEAST_BYTES = 1_000_000  # with less, a full disk is taken for the cause of any error


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
    ranks.decide(lambda: check_machine(config, ranks.size))
    require(*config.policy.packages)
    check_endpoint(config)
    fresh = not os.path.exists(folder)  # unlike Path.exists, raises no error for an impossible name
    opened: list[Store] = []
    ranks.decide(lambda: opened.append(open_store(config, folder)))
    store = opened[0] if opened else None
    lead = Lead(config, folder, store, watch) if store else None
    try:
        return _Run(config, folder, lead, watch, stopper, ranks).go()
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


def open_store(config: Config, folder: Path) -> Store:
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
    """One process of a run; the first one has the lead."""

    def __init__(
        self,
        config: Config,
        folder: Path,
        lead: Lead | None,
        watch: Watch,
        stopper: Stopper,
        ranks: Ranks,
    ) -> None:
        self.config, self.folder, self.lead = config, folder, lead
        self.watch, self.stopper, self.ranks = watch, stopper, ranks

    def go(self) -> dict[str, Any] | None:
        place_libraries()
        config, ranks, lead, working = self.config, self.ranks, self.lead, self.watch.working
        kind = kind_of(config.policy.name)
        tasks = ranks.after_first(lambda: kind.tasks(config, working))
        if config.evaluation.spare:
            tasks = with_spare(config, tasks)
        if config.evaluation.structure:
            tasks = with_structure(config, tasks)
        ranks.agree("the settings, tools or tasks", _digest(config, tasks))
        ranks.decide(partial(lead.check, tasks) if lead else _nothing)

        from rods.policies.weights import weights_digest
        from rods.trainers.checkpoints import checkpoint_step, latest_checkpoint
        from rods.trainers.trl import TrlTrainer, quiet

        quiet()
        checkpoint = ranks.decide(lambda: latest_checkpoint(self.folder))
        start = checkpoint_step(checkpoint)
        policy = ranks.after_first(lambda: kind.load(config, tasks, checkpoint, working))
        ranks.agree("the weights of the model", weights_digest(policy.model))
        begin = partial(lead.begin, tasks, start, policy.identity) if lead else _nothing
        ranks.decide(begin)
        runner = training_runner(config, tasks.environment, policy.renderer)
        store = lead.store if lead else None
        heldout = HeldOut(config, store, runner, tasks, policy.seeded, self.watch, ranks)
        if lead:
            lead.heldout = heldout
        trainer = TrlTrainer(
            config,
            lead.loop if lead else None,
            runner,
            policy,
            self.folder,
            lead.on_step if lead else _nothing,
            heldout.on_epoch,
            self.stopper,
            ranks,
        )
        if start == 0:
            for side in (STRUCTURE, "test"):
                heldout.measure(side, 0)
            heldout.on_epoch(0, 0)
        if start < config.steps:  # else the run was killed after its last step
            with lead.worker() if lead else nullcontext():
                trainer.train()
            if not trainer.finished:
                return None
        heldout.measure("validation", config.steps)
        for side in (STRUCTURE, "test"):
            heldout.measure(side, config.steps)
        return lead.summary() if lead else {}


def _nothing(*_: object) -> None:
    """What processes other than the first do where the first has the lead."""


def _digest(config: Config, tasks: TaskSides) -> str:
    """Of all that the processes of a run must have in common."""
    ids = [task.id for side in tasks.sides.values() for task in side]
    settings = config.model_dump(mode="json", exclude={"environment": {"tasks"}})  # a path
    known = [__version__, settings, tasks.environment.version, ids]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
