"""The connection to a run's file: opening, whole transactions, and errors that a person can mend.

The file is in WAL mode: readers never wait, and one writer at a time does. With `durable` every
transaction is on the disk before it returns, so that it outlives a power failure too. The folder
must be on a local disk: SQLite's locks do not work on network file systems.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rods.errors import UserError
from rods.store.lease import holder
from rods.store.schema import VERSION, create, migrate

FILE = "run.sqlite"
CACHE_KB = 200_000  # most memory for pages; a pool of a million tasks fits in
PATIENCE = 5.0  # seconds that a writer waits for another before it looks who that is
MOST_PATIENCE = 30.0


class Database:
    """One connection. Writers create or migrate the file; readers never change it.

    Args:
        busy: called when the file was locked by another process for `PATIENCE` seconds.

    Raises:
        UserError: there is no run, it is of another version, damaged, or cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        *,
        writer: bool,
        durable: bool = True,
        busy: Callable[[], None] = lambda: None,
    ) -> None:
        self.path, self._busy = folder / FILE, busy
        if not writer and not self.path.exists():
            raise UserError(f"{folder}: no run here ({FILE} is missing)")
        try:
            self._db = self._connect(PATIENCE)
            try:
                if writer:
                    self._db.execute("PRAGMA journal_mode=WAL")
                    self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
                    self._db.execute(f"PRAGMA cache_size=-{CACHE_KB}")
                self._prepare(writer)
            except BaseException:
                self._db.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"{folder}: cannot be used as a run folder: {error}") from None

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside become durable together, or none does.

        Raises:
            UserError: the disk is full, or the file cannot be written.
        """
        try:
            self._begin()
            try:
                yield
            except BaseException:
                if self._db.in_transaction:  # a full disk ends it by itself
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise UserError(f"{self.path}: cannot be written: {error}") from None

    def read(self, query: str, *values: Any) -> list[Any]:
        """All rows of a query.

        Raises:
            UserError: the file is damaged.
        """
        return list(self.rows(query, *values))

    def rows(self, query: str, *values: Any) -> Iterator[Any]:
        """Rows of a query one by one, for tables that are large.

        Raises:
            UserError: the file is damaged.
        """
        try:
            # Not `yield from`, which would close the cursor of a database that is closed already.
            for row in self._db.execute(query, values):  # noqa: UP028
                yield row
        except sqlite3.DatabaseError as error:
            told = f"damaged ({error}); restore it or use another folder"
            raise UserError(f"{self.path}: {told}") from None

    def write(self, query: str, *values: Any) -> int:
        """One statement; returns how many rows it changed."""
        return self._db.execute(query, values).rowcount

    def write_many(self, query: str, rows: Iterator[Any] | list[Any]) -> None:
        self._db.executemany(query, rows)

    def check(self) -> None:
        """Look at the whole file.

        Raises:
            UserError: some part of it is damaged.
        """
        found = self.read("PRAGMA integrity_check")[0][0]
        if found != "ok":
            raise UserError(f"{self.path}: damaged ({str(found).splitlines()[0]})")

    def _connect(self, seconds: float) -> sqlite3.Connection:
        return sqlite3.connect(
            self.path, timeout=seconds, isolation_level=None, check_same_thread=False
        )

    def _prepare(self, writer: bool) -> None:
        tables = self._db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if not tables and not writer:
            raise UserError(f"{self.path}: no run here yet (the file is empty)")
        if not tables:
            create(self._db)
        query = "SELECT value FROM meta WHERE key = 'version'"
        row = self._db.execute(query).fetchone()
        found = int(row[0]) if row else 0
        if not 1 <= found <= VERSION:
            way = "upgrade rods" if found > VERSION else "use another folder"
            told = f"written by store version {found}, this is {VERSION}"
            raise UserError(f"{self.path}: {told}; {way}")
        if found < VERSION:
            if not writer:  # a reader brings a copy up to date
                copy = sqlite3.connect(":memory:", isolation_level=None)
                self._db.backup(copy)
                self._db.close()
                self._db = copy
            migrate(self._db, found)

    def _begin(self) -> None:
        """Take the right to write; whoever holds it for long without need loses it."""
        began = time.monotonic()
        while True:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                late = time.monotonic() - began > MOST_PATIENCE
                if "locked" not in str(error) or late:
                    raise
                self._busy()


def kill_worker(folder: Path) -> None:
    """End a worker that holds the file: a trainer waits for nobody, and a worker loses nothing."""
    who = holder(folder, "worker")
    if who and who["host"] == socket.gethostname():
        with suppress(OSError):
            os.kill(int(who["pid"]), signal.SIGKILL)
