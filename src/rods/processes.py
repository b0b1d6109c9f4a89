"""Processes that this one starts, and the signals that stop it.

Python by default puts the current folder before its own library, so each process would import a
file random.py in it. Our processes get the paths of this process only.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

SAFE = "PYTHONSAFEPATH"
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def module_command(module: str, arguments: Sequence[str] = ()) -> list[str]:
    """The command that runs a module in a separate process."""
    return [sys.executable, "-P", "-m", module, *arguments]


def module_variables() -> dict[str, str]:
    """The environment of such a process.

    It finds what this process finds, in the same order, and then what PYTHONPATH names now.
    """
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = dict.fromkeys(filter(None, [*sys.path, *named]))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@contextmanager
def safe_path() -> Iterator[None]:
    """Processes that multiprocessing starts inside do not import from the current folder either."""
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
    """Processes started inside ignore SIGINT and SIGTERM; their parent acts on these.

    A signal to this process waits until they are started.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Stopper:
    """Inside its context SIGINT and SIGTERM raise `KeyboardInterrupt`, or are noted in safe mode.

    A second signal always raises.

    Attributes:
        number: of the first signal that came, or 0.
        safe: the safe mode. The code that turns it on reads `number` at its safe points.
    """

    def __init__(self) -> None:
        self.number = 0
        self.safe = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopper:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._note) for s in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        first, self.number = not self.number, self.number or number
        if not (self.safe and first):
            raise KeyboardInterrupt
