"""Python processes that this one starts: how they find modules, and what they are spared.

Python puts the current folder before its own library by default, so that a file
random.py there would be imported by each process. Ours get the paths of this process and no more.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rods.stopper import SIGNALS

SAFE = "PYTHONSAFEPATH"


def module_command(module: str, arguments: Sequence[str] = ()) -> list[str]:
    """The command that runs a module in a process of its own."""
    return [sys.executable, "-P", "-m", module, *arguments]


def module_variables() -> dict[str, str]:
    """The environment of such a process: it finds what this process finds, in the same order, and
    then what the environment names by now."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = dict.fromkeys(filter(None, [*sys.path, *named]))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@contextmanager
def safe_path() -> Iterator[None]:
    """Processes that multiprocessing starts inside leave the current folder out too."""
    before = os.environ.get(SAFE)
    os.environ[SAFE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE]
        else:
            os.environ[SAFE] = before


@contextmanager
def undisturbed() -> Iterator[None]:
    """Processes started inside never see SIGINT and SIGTERM, on which their parent acts.

    A signal to this process waits until they are started.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
