"""Starts, kills and reads runs on verl."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from replica_files import asked_file

from rods.store.store import Store

HERE = Path(__file__).parent
STEPS = 8
MINUTES = 10
OUTPUT = "output.txt"
"""Beside a run's folder: what the run printed."""


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


def drive(folder: Path, steps: int = STEPS, **more: str) -> subprocess.CompletedProcess[str]:
    """Train to the last step, and wait."""
    with started(folder, steps, **more) as process:
        out, _ = process.communicate(timeout=MINUTES * 60)
    return subprocess.CompletedProcess(process.args, process.returncode, out)


@contextmanager
def started(folder: Path, steps: int = STEPS, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A run in processes of its own, which are killed at the end.

    Args:
        more: environment variables.
    """
    asked_file(folder).unlink(missing_ok=True)
    command = [sys.executable, str(HERE / "drive.py"), str(folder), str(steps)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    variables = {**os.environ, **more}
    process = subprocess.Popen(command, start_new_session=True, env=variables, **pipes)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        kill(process)


def processes(process: subprocess.Popen[str], title: str = "") -> Iterator[int]:
    """The ids of all processes of a run's session, or of those with this word in their title."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            line = Path("/proc", name, "cmdline").read_text()
            if os.getsid(int(name)) == process.pid and title in line:
                yield int(name)


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL for all processes of a run's session."""
    for pid in processes(process):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def until(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Wait for something in a run that must not end before."""
    end = time.monotonic() + MINUTES * 60
    while not reached():
        assert process.poll() is None, process.communicate()[0][-4000:]
        assert time.monotonic() < end, "it was not reached"
        time.sleep(0.05)


def playing(folder: Path, step: int) -> Callable[[], bool]:
    """Whether the servers of a run have been asked for an action of this step."""
    return lambda: asked_file(folder).exists() and int(asked_file(folder).read_text()) >= step


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
