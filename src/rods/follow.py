"""A synthesis worker on a run's folder (`rods synth --follow RUN`)."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from rods.config import Config
from rods.errors import UserError, first_problem
from rods.extras import BENCHMARK, require
from rods.metrics import SUMMARY
from rods.policies.registry import kind_of
from rods.policies.tasks import synthesis_of
from rods.processes import Stopper
from rods.store.store import Store
from rods.synthesis.jobs import Synthesis
from rods.synthesis.worker import SynthesisWorker, WorkerProgress

REPORTED = 2.0  # seconds between two reports while there is nothing to do


def follow(
    folder: Path,
    stopper: Stopper,
    report: Callable[[WorkerProgress], None],
    notice: Callable[[str], None],
    *,
    supervised: bool = False,
) -> WorkerProgress:
    """Do a run's jobs until the run is finished, a signal comes, or synthesis is given up.

    Args:
        report: called with the counts after each job, and now and then in between.
        notice: see `SynthesisWorker`.
        supervised: the trainer started this process, which ends with it.

    Raises:
        UserError: there is no run, another worker is at work, or the settings are unusable.
    """
    store = Store(folder, role="worker")
    try:
        config = run_config(store, folder)
        if config.arm != "rods" or config.synthesis.mode != "background":
            does = "makes its variants itself" if config.arm == "rods" else "makes no variants"
            raise UserError(f"{folder}: a run of arm {config.arm} that {does}; nothing to follow")
        if supervised:
            end_with_parent()
        synthesis = prepare_synthesis(config, folder, notice)
        stopper.safe = True
        stop, seldom = _stop(folder, stopper), _seldom(report)
        return SynthesisWorker(config, store, synthesis, stop, seldom, notice=notice).run()
    finally:
        stopper.safe = False
        store.close()


def prepare_synthesis(config: Config, folder: Path, notice: Callable[[str], None]) -> Synthesis:
    """A run's synthesis. No policy is prepared or loaded, and no training library is needed.

    Raises:
        UserError: the tools, the tasks or the model's endpoint are unusable.
    """
    require(*(BENCHMARK if config.environment.name == "bfcl" else ()))
    tasks = kind_of(config.policy.name).tasks(config, lambda what, share: None)
    return synthesis_of(config, tasks, folder, notice)


def run_config(store: Store, folder: Path) -> Config:
    """The configuration that a run began with.

    Raises:
        UserError: no run has begun, another version of the package began it, or its kind of policy
            is not found.
    """
    stored = store.meta("config")
    if not stored:
        raise UserError(f"{folder}: no run was begun here")
    try:
        return Config.model_validate({k: v for k, v in stored.items() if k != "rods"})
    except ValidationError as error:
        problem = first_problem(error)
        raise UserError(f"{folder}: written by another version of rods: {problem}") from None
    except UserError as error:  # of the kind of policy
        raise UserError(f"{folder}: {error}") from None


def end_with_parent() -> None:
    """End this process when its standard input closes. No stored state is lost at any point."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):  # not by sys.stdin, whose lock this thread would keep at exit
                pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def _stop(folder: Path, stopper: Stopper) -> Callable[[], bool]:
    return lambda: bool(stopper.number) or (folder / SUMMARY).exists()


def _seldom(report: Callable[[WorkerProgress], None]) -> Callable[[WorkerProgress], None]:
    """Report each job, and otherwise every `REPORTED` seconds."""
    last = [0.0, -1.0]

    def seldom(count: WorkerProgress) -> None:
        now = time.monotonic()
        if count.jobs != last[1] or now - last[0] > REPORTED:
            last[:] = [now, count.jobs]
            report(count)

    return seldom
