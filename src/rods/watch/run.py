"""The runs that a page shows, each followed in the background."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rods.digest.digest import Digest
from rods.digest.state import RunState
from rods.errors import UserError
from rods.store.store import Store

PAUSE = 1.0  # seconds between two looks at a run
REST = (
    9.0  # times the time of a look that is waited after it, so that a page takes a tenth of a core
)
PART = 1.0  # seconds of reading at least before the numbers are made again


class WatchedRun:
    """A run with its digest.

    Args:
        name: in links.

    Attributes:
        state: the latest numbers; None before the first.
        problem: why the run cannot be read, or "".
        version: changes with the state.

    Raises:
        UserError: there is no run, or it cannot be read.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.digest = Digest(folder)
        self.state: RunState | None = None
        self.problem, self.version = "", 0
        self._took = 0.0  # seconds that making the numbers took

    def look(self) -> bool:
        """Read for a while what is new; returns whether there is more to read."""
        before = self.problem
        try:
            end = time.monotonic() + max(PART, 5 * self._took)
            changed = self.digest.update(lambda: time.monotonic() > end)
            if changed or self.state is None or self._ended():
                began = time.monotonic()
                with self.digest.store.snapshot():
                    self.state = RunState.read(self.digest)
                self._took = time.monotonic() - began
                self.version += 1
            self.problem = ""
        except (UserError, sqlite3.Error) as error:
            self.problem = str(error)
        if self.problem != before:
            self.version += 1
        return not self.problem and self.digest.share < 1

    def _ended(self) -> bool:
        """Whether the trainer or the worker has begun or ended since the latest numbers."""
        state = self.state
        return state is not None and state.works != RunState.at_work(self.folder)

    @contextmanager
    def open(self) -> Iterator[tuple[Store, sqlite3.Connection]]:
        """The run's store and its digest, for one request.

        Raises:
            UserError: the run's file cannot be read, or the digest has just begun anew.
        """
        store = Store(self.folder, role="reader")
        db = self.digest.connect()
        try:
            yield store, db
        except sqlite3.Error as error:
            raise UserError(f"{self.folder}: {error}; load the page again") from None
        finally:
            db.close()
            store.close()


class Keeper:
    """Follows runs in a thread of its own until it is closed."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.runs: dict[str, WatchedRun] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        try:
            for folder in folders:
                name = _unused(folder.resolve().name or "run", self.runs)
                self.runs[name] = WatchedRun(name, folder)
        except BaseException:
            self._remove()
            raise

    def start(self) -> Keeper:
        self._thread.start()
        return self

    def close(self) -> None:
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._remove()

    def _remove(self) -> None:
        for run in self.runs.values():
            run.digest.close()

    def _follow(self) -> None:
        while not self._closed.is_set():
            began = time.monotonic()
            more = [run.look() for run in self.runs.values()]
            if not any(more):
                self._closed.wait(max(PAUSE, REST * (time.monotonic() - began)))


def _unused(name: str, taken: dict[str, WatchedRun]) -> str:
    number, found = 2, name
    while found in taken:
        found, number = f"{name}-{number}", number + 1
    return found
