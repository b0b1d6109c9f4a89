"""The connection to a run's file: opening, transactions, and errors that say how to mend them.

The file is in WAL mode: readers never wait, and one process writes at a time. With `durable` each
transaction is on the disk before it returns, so it survives a power failure too. The folder must be
on a local disk: SQLite's locks do not work on network file systems.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

from rods.errors import UserError
from rods.store.lease import kill_holder
from rods.store.schema import VERSION, create

FILE = "run.sqlite"
CACHE_KB = 200_000  # most memory for pages; enough for a pool of a million tasks
ROWS = 100  # most rows of one INSERT; takes a third of the time of an INSERT for each row
FOLDING = 1_000  # pages of the log from which on a transaction folds it into the file
PATIENCE = 5.0  # seconds that a writer waits before it looks which process holds the file
MOST_PATIENCE = 30.0  # seconds that it waits in all
MENDS = {
    sqlite3.SQLITE_FULL: "make room on the disk; the same command then resumes the run",
    sqlite3.SQLITE_BUSY: f"end the process that holds it (fuser {FILE} names it) and start again",
    sqlite3.SQLITE_READONLY: "make the folder and its files writable, or use another folder",
    sqlite3.SQLITE_CANTOPEN: "make the folder and its files writable, or use another folder",
    sqlite3.SQLITE_IOERR: "see whether the disk is full, over its quota, or failing",
}
MOST_SHOWN = 100  # characters of an error
DAMAGED = "it is damaged: restore it or use another folder"


class Database:
    """One connection.

    Args:
        role: a "trainer" creates a missing file and writes, a "worker" writes, a "reader" never
            changes what is stored.

    Raises:
        UserError: there is no run, or its file is of another version, damaged, or not usable.
    """

    def __init__(self, folder: Path, role: str, *, durable: bool = True) -> None:
        self.path, self.role = folder / FILE, role
        try:
            self._db = self._connect(self._address())
            try:
                found = self._version()
                if role == "reader":
                    self._db.execute("PRAGMA query_only=ON")
                else:
                    self._db.execute("PRAGMA journal_mode=WAL")
                    self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
                    self._db.execute(f"PRAGMA cache_size=-{CACHE_KB}")
                    self._db.execute(f"PRAGMA wal_autocheckpoint={FOLDING}")
                if not found:
                    create(self._db)
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.Error, ValueError) as error:
            raise self._problem(error) from None

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self, *, fold: bool = True) -> Iterator[None]:
        """All writes inside become durable together, or none does.

        Inside another transaction it is a part of that one.

        Args:
            fold: fold a long log into the file afterwards. This takes as long as a large
                transaction; with False the next transaction does it.

        Raises:
            UserError: the disk is full, or the file cannot be written.
        """
        if self._db.in_transaction:
            yield
            return
        try:
            try:
                self._begin()
                yield
                self._db.execute(f"PRAGMA wal_autocheckpoint={FOLDING * fold}")
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk has ended it already
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._problem(error) from None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads inside see the same state, whatever is written meanwhile. For a reader."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            if self._db.in_transaction:  # a damaged file may have ended it already
                self._db.execute("ROLLBACK")

    def read(self, query: str, *values: Any) -> list[Any]:
        """All rows of a query.

        Raises:
            UserError: the file is damaged or cannot be read.
        """
        return list(self.rows(query, *values))

    def rows(self, query: str, *values: Any) -> Iterator[Any]:
        """Rows of a query one by one, for large tables.

        Raises:
            UserError: the file is damaged or cannot be read.
        """
        try:
            # `yield from` would close the cursor of a database that may be closed already.
            for row in self._db.execute(query, values):  # noqa: UP028
                yield row
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise self._problem(error) from None

    def write(self, query: str, *values: Any) -> int:
        """Run one statement, in a new transaction unless one is open.

        Returns:
            How many rows it changed.
        """
        with self.transaction():
            return self._db.execute(query, values).rowcount

    def insert(self, into: str, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows, all or none. `into` is the statement before VALUES: "INSERT INTO groups"."""
        left = iter(rows)
        with self.transaction():
            while some := list(islice(left, ROWS)):
                one = f"({', '.join('?' * len(some[0]))})"
                values = list(chain.from_iterable(some))
                self._db.execute(f"{into} VALUES {', '.join([one] * len(some))}", values)

    def load(self, text: Any) -> Any:
        """Decode a value that is stored as JSON.

        Raises:
            UserError: it is damaged.
        """
        try:
            return json.loads(text)
        except (TypeError, ValueError):
            raise UserError(f"{self.path}: a value is no JSON; {DAMAGED}") from None

    def check(self) -> None:
        """Check the whole file.

        Raises:
            UserError: a part of it is damaged.
        """
        found = self.read("PRAGMA integrity_check")[0][0]
        if found != "ok":
            raise UserError(f"{self.path}: damaged ({str(found).splitlines()[0]})")

    def _problem(self, error: Exception) -> UserError:
        """The error for users: what failed, and how to mend it."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code
        return UserError(f"{self.path}: {str(error)[:MOST_SHOWN]}; {MENDS.get(code, DAMAGED)}")

    def _address(self) -> str:
        """The file's address for SQLite.

        Raises:
            UserError: its log must be read, and the folder cannot be written for that.
        """
        address = self.path.absolute().as_uri()
        if self.role == "trainer":
            return address
        if self.role == "reader" and not os.access(self.path.parent, os.W_OK):
            log, index = (self.path.with_name(FILE + end) for end in ("-wal", "-shm"))
            if not log.exists():
                return f"{address}?immutable=1"  # no process writes, and no index is needed
            if not index.exists():
                message = f"{log.name} is to be read too, for which the folder must be writable"
                raise UserError(f"{self.path}: {message}; copy the whole folder and read the copy")
        # A reader opened with `mode=ro` would leave the log and its index behind when it closes.
        return f"{address}?mode=rw"

    def _connect(self, address: str) -> sqlite3.Connection:
        return sqlite3.connect(
            address, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )

    def _version(self) -> int:
        """The version of the file's tables; 0 for an empty file.

        Raises:
            UserError: this role cannot use that version.
        """
        if not self._db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
            if self.role != "trainer":
                raise UserError(f"{self.path}: no run here yet (the file is empty)")
            return 0
        query = "SELECT value FROM meta WHERE key = 'version'"
        row = self._db.execute(query).fetchone()
        found = int(row[0]) if row else 0
        if found != VERSION:
            message = f"{self.path}: written by store version {found}, this is {VERSION}"
            way = "upgrade rods" if found > VERSION else "use another folder"
            raise UserError(f"{message}; {way}")
        return found

    def _begin(self) -> None:
        """Begin to write. A worker that holds the file longer than `PATIENCE` is killed."""
        began = time.monotonic()
        while True:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                late = time.monotonic() - began > MOST_PATIENCE
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or late:
                    raise
                if self.role == "trainer":  # a killed worker loses no data
                    kill_holder(self.path.parent, "worker")
