"""A digest that follows a run's store."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rods.curriculum.boundary import Thresholds
from rods.digest.fold import Fold
from rods.digest.tables import INDEXES, TABLES
from rods.errors import UserError
from rods.store.news import READS, News
from rods.store.store import Store

CHUNK = 10_000  # rows in one transaction of the digest
FOLDING = 10_000  # pages of its log
FILE = "digest.sqlite"


class Digest:
    """What a run's store has, in a file of its own that is removed on `close`.

    One thread may call `update`; any thread may call `connect`.

    Args:
        folder: of the run.

    Attributes:
        version: changes whenever something was added.
        share: share of the store's rows that were read.
        limits: the run's zone limits.

    Raises:
        UserError: there is no run, or it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder, role="reader")
        self.version, self.share, self._indexed = 0, 0.0, False
        self._place = tempfile.TemporaryDirectory(prefix="rods-")
        self._path = Path(self._place.name) / FILE
        self._configure()
        self._db = self._begin()

    def close(self) -> None:
        """Remove the digest."""
        self._db.close()
        self.store.close()
        self._place.cleanup()

    def files(self) -> list[Path]:
        """The digest's files, for whoever wants to know their size."""
        return [*self._path.parent.iterdir()]

    def connect(self) -> sqlite3.Connection:
        """A connection of the caller's own that cannot write."""
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA query_only=ON")
        return db

    def update(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Add what is new in the store; returns whether something was.

        Args:
            stop: asked between parts of the work; if it is true, the rest is left for later.

        Raises:
            UserError: the run's file cannot be read or is damaged.
        """
        news = News(self.store.db)
        before, ends = self.version, news.ends()
        if any(news.sign(t, row) != sign for t, (row, sign) in self._cursors().items() if row):
            self._db.close()
            self._db = self._begin()  # the run went back to a checkpoint
        if not any(row for row, _ in self._cursors().values()):
            self._configure()  # the run may have begun since
        total = sum(ends.values())
        left = {table: end - self._cursors()[table][0] for table, end in ends.items()}
        for table in READS:
            while left[table] > 0 and not stop():
                row, _ = self._cursors()[table]
                rows = news.after(table, row, ends[table], CHUNK)
                if not rows:
                    break
                self._add(table, rows, news)
                left[table] = ends[table] - rows[-1][0]
                self.share = 1 - sum(left.values()) / total
        if not any(left.values()):
            self.share = 1.0
            if not self._indexed:
                self._db.executescript(INDEXES)
                self._indexed = True
        return self.version != before

    def _configure(self) -> None:
        """Read what the counts depend on."""
        config = self.store.meta("config") or {}
        self.limits = zone_limits(config)
        self._unnamed = "used once" if config.get("arm") == "fresh" else "candidate"

    def _begin(self) -> sqlite3.Connection:
        """An empty digest; a file that was there is removed, and whoever reads it keeps it."""
        for file in self._path.parent.iterdir():
            file.unlink()
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=OFF")
        db.execute("PRAGMA cache_size=-100000")
        db.execute(f"PRAGMA wal_autocheckpoint={FOLDING}")
        db.executescript(TABLES)
        self._indexed = False
        rows = [(table, 0, "") for table in READS]
        db.executemany("INSERT INTO cursors VALUES (?, ?, ?)", rows)
        self.version += 1
        return db

    def _cursors(self) -> dict[str, tuple[int, str]]:
        """Table -> the last row that was read, and its sign."""
        found = self._db.execute("SELECT name, row, sign FROM cursors")
        return {name: (row, sign) for name, row, sign in found}

    def _add(self, table: str, rows: list[tuple[Any, ...]], news: News) -> None:
        fold = Fold(self._db, self.store.db, self.limits, self._unnamed)
        last = rows[-1][0]
        self._db.execute("BEGIN")
        try:
            fold.add(table, rows)
            fold.flush()
            query = "UPDATE cursors SET row = ?, sign = ? WHERE name = ?"
            self._db.execute(query, (last, news.sign(table, last), table))
            self._db.execute("COMMIT")
        except BaseException as error:
            self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                message = f"{self._path}: {error}; make room in that folder, or set TMPDIR"
                raise UserError(message) from None
            raise
        self.version += 1


def zone_limits(config: dict[str, Any]) -> Thresholds:
    """The zone limits of a run's configuration, or the paper's."""
    found = config.get("boundary") or {}
    usual = Thresholds()
    return Thresholds(found.get("low", usual.low), found.get("high", usual.high))
