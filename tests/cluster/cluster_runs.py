"""Starts, kills and reads runs on verl."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from replica_files import LOGGED, asked_places, beside, forget

from rods.store.store import Store

HERE = Path(__file__).parent
STEPS, TASKS = 8, 4
LONG = 3600  # seconds after which a run is taken to hang; on a free machine it takes a minute


@contextmanager
def stored(folder: Path) -> Iterator[Store]:
    """The store of a run, to read."""
    store = Store(folder, role="reader")
    try:
        yield store
    finally:
        store.close()


def history(folder: Path) -> dict[str, Any]:
    """All that a run did with its pool."""
    with stored(folder) as store:
        return {
            "groups": store.groups(),
            "events": store.events(),
            "epochs": store.db.read("SELECT * FROM epochs ORDER BY epoch"),
        }


def logged(folder: Path) -> dict[int, dict[str, float]]:
    """By step what verl's trackers got."""
    lines = map(json.loads, beside(folder, LOGGED).read_text().splitlines())
    return {line["step"]: line["data"] for line in lines}


def drive(folder: Path, steps: int = STEPS, **more: str) -> subprocess.CompletedProcess[str]:
    """Train to the last step, and wait."""
    with started(folder, steps, **more) as process:
        return ended(process, folder)


@contextmanager
def started(folder: Path, steps: int = STEPS, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run in processes of its own, which are killed at the end.

    Args:
        more: environment variables.
    """
    forget(folder)
    command = [sys.executable, str(HERE / "drive.py"), str(folder), str(steps)]
    # Not a pipe: a run waits if nobody reads it.
    with beside(folder, "output").open("wb") as output:
        process = subprocess.Popen(
            command,
            start_new_session=True,
            env={**os.environ, **more},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        kill(process)


def ended(process: subprocess.Popen[bytes], folder: Path) -> subprocess.CompletedProcess[str]:
    """How a run ended by itself."""
    code = process.wait(LONG)
    return subprocess.CompletedProcess(process.args, code, output(folder))


def output(folder: Path) -> str:
    """What a run has printed since it was started."""
    return beside(folder, "output").read_text(errors="replace")


def processes(process: subprocess.Popen[bytes], title: str = "") -> Iterator[int]:
    """The ids of all processes of a run's session, or of those with this word in their title."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            line = Path("/proc", name, "cmdline").read_text()  # empty when it has ended
            if line and os.getsid(int(name)) == process.pid and title in line:
                yield int(name)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for all processes of a run's session, also for those that begin meanwhile."""
    while left := [*processes(process)]:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    process.wait()


def until(process: subprocess.Popen[bytes], folder: Path, reached: Callable[[], bool]) -> None:
    """Wait for something in a run that must not end before."""
    end = time.monotonic() + LONG
    while not reached():
        assert process.poll() is None, output(folder)[-4000:]
        assert time.monotonic() < end, "it was not reached"
        time.sleep(0.05)


def playing(folder: Path, step: int, tasks: int = 1) -> Callable[[], bool]:
    """Whether so many tasks of this step are played: the servers were asked for their actions."""
    return lambda: asked_places(folder, step) >= tasks


def stored_step(folder: Path, step: int) -> Callable[[], bool]:
    """Whether a run has stored the groups of this step; its update then follows."""

    def reached() -> bool:
        with stored(folder) as store:
            return store.last_step() >= step

    return reached


def last_line(text: str) -> str:
    """The error that ended a run."""
    (line,) = [line for line in text.splitlines() if line.startswith("error: ")]
    return line
