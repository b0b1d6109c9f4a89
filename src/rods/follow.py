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
from rods.extras import TRAINER, require
from rods.metrics import SUMMARY
from rods.micro.prepare import prepare
from rods.micro.synthesis import synthesis_of
from rods.processes import Stopper
from rods.store.store import Store
from rods.synthesis.worker import Count, SynthesisWorker

TOLD = 2.0  # seconds between two words while there is nothing to do


def follow(
    folder: Path,
    stopper: Stopper,
    tell: Callable[[Count], None],
    notice: Callable[[str], None],
    *,
    supervised: bool = False,
) -> Count:
    """Work on a run's boundary seeds until the run is finished, a signal comes, or synthesis is
    given up.

    Args:
        notice: see `Worker`.
        supervised: the trainer started it, and it ends with it.

    Raises:
        UserError: there is no run, another worker is at work, or the settings are unusable.
    """
    require(*TRAINER)
    store = Store(folder, role="worker")
    try:
        config = run_config(store, folder)
        if config.arm != "rods" or config.synthesis.mode != "background":
            does = "makes its variants itself" if config.arm == "rods" else "makes no variants"
            raise UserError(f"{folder}: a run of arm {config.arm} that {does}; nothing to follow")
        if supervised:
            end_with_parent()
        synthesis = synthesis_of(config, prepare(config), folder, notice)
        stopper.safe = True
        stop, seldom = _stop(folder, stopper), _seldom(tell)
        return SynthesisWorker(config, store, synthesis, stop, seldom, notice=notice).run()
    finally:
        stopper.safe = False
        store.close()


def run_config(store: Store, folder: Path) -> Config:
    """The configuration that a run was begun with.

    Raises:
        UserError: it was never begun, or by another version.
    """
    stored = store.meta("config")
    if not stored:
        raise UserError(f"{folder}: no run was begun here")
    try:
        return Config.model_validate({k: v for k, v in stored.items() if k != "rods"})
    except ValidationError as error:
        problem = first_problem(error)
        raise UserError(f"{folder}: written by another version of rods: {problem}") from None


def end_with_parent() -> None:
    """End this process when its standard input closes, whatever it is doing: nothing is lost."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):  # not by sys.stdin, whose lock this thread would keep at exit
                pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def _stop(folder: Path, stopper: Stopper) -> Callable[[], bool]:
    return lambda: bool(stopper.number) or (folder / SUMMARY).exists()


def _seldom(tell: Callable[[Count], None]) -> Callable[[Count], None]:
    """Tell every job, and otherwise now and then."""
    last = [0.0, -1.0]

    def seldom(count: Count) -> None:
        now = time.monotonic()
        if count.jobs != last[1] or now - last[0] > TOLD:
            last[:] = [now, count.jobs]
            tell(count)

    return seldom
