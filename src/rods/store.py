"""Durable state of a run: one SQLite file in its folder.

Every row carries the training step it belongs to, counted from 1; what happens at an epoch's
boundary belongs to the step that follows. A checkpoint of the policy at step s and the rows up to
s are one consistent state, so recovery is `rollback(s)`. Rows are written in transactions (WAL).
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from pydantic import ValidationError

from rods.boundary import Group
from rods.errors import UserError
from rods.task import Task

VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tasks (id TEXT PRIMARY KEY, step INT, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS groups (step INT, epoch INT, task_id TEXT, category TEXT, rewards TEXT);
CREATE TABLE IF NOT EXISTS events (step INT, epoch INT, task_id TEXT, kind TEXT, reason TEXT);
CREATE TABLE IF NOT EXISTS epochs (epoch INT PRIMARY KEY, step INT, task_ids TEXT);
CREATE TABLE IF NOT EXISTS funnel (step INT, epoch INT, parent TEXT, outcome TEXT, count INT);
CREATE TABLE IF NOT EXISTS episodes (
    step INT, task_id TEXT, progress REAL, ending TEXT, transcript TEXT);
CREATE TABLE IF NOT EXISTS evaluations (
    step INT, side TEXT, category TEXT, progress REAL, complete REAL, episodes INT);
"""
STEPPED = ("tasks", "groups", "events", "epochs", "funnel", "episodes", "evaluations")


class Event(NamedTuple):
    """One change of the pool.

    Kinds: seeded; chosen (as a seed for a variant); injected (reason: the parent's id); passed
    (burn-in); rested, woken (originals); retired (reason: why). "closed", with no task, says that
    the epoch before was ended.
    """

    step: int
    epoch: int
    task_id: str
    kind: str
    reason: str = ""


class Evaluation(NamedTuple):
    """A measurement on held-out tasks after `step` updates.

    `side` is "validation" or "test", `category` a task category or "overall"; `progress` and
    `complete` are means over `episodes`.
    """

    step: int
    side: str
    category: str
    progress: float
    complete: float
    episodes: int


class Store:
    """Opens or creates `folder/run.sqlite`. One trainer at a time holds the folder.

    Raises:
        UserError: the folder is in use, of another version, or cannot be written.
    """

    def __init__(self, folder: Path, *, writer: bool = True) -> None:
        self.folder = folder
        self._lease: IO[str] | None = None
        path = folder / "run.sqlite"
        try:
            if writer:
                folder.mkdir(parents=True, exist_ok=True)
                self._lease = self._take_lease()
            elif not path.exists():
                raise UserError(f"{folder}: no run here (run.sqlite is missing)")
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)
            found = self.meta("version")
            if found is None and writer:
                self.set_meta("version", VERSION)
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"{folder}: cannot be used as a run folder: {error}") from None
        if found not in (None, VERSION):
            raise UserError(
                f"{path}: written by store version {found}, this is {VERSION}; use another folder"
            )

    def close(self) -> None:
        self._db.close()
        if self._lease:
            self._lease.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside become durable together, or none does.

        Raises:
            UserError: the disk is full or the file cannot be written.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise UserError(f"{self.folder}: cannot write run.sqlite: {error}") from None

    def _read(self, query: str, *values: Any) -> list[Any]:
        """All rows of a query.

        Raises:
            UserError: the file is damaged.
        """
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            path = self.folder / "run.sqlite"
            raise UserError(
                f"{path}: damaged ({error}); restore it or use another folder"
            ) from None

    def check(self) -> None:
        """Look at the whole file.

        Raises:
            UserError: some part of it is damaged.
        """
        found = self._read("PRAGMA integrity_check")[0][0]
        if found != "ok":
            first = str(found).splitlines()[0]
            raise UserError(f"{self.folder / 'run.sqlite'}: damaged ({first})")

    def meta(self, key: str) -> Any:
        rows = self._read("SELECT value FROM meta WHERE key = ?", key)
        return json.loads(rows[0][0]) if rows else None

    def set_meta(self, key: str, value: Any) -> None:
        self._db.execute("REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def add_task(self, task: Task, step: int) -> None:
        """Idempotent: a task's id is its content."""
        row = (task.id, step, task.model_dump_json())
        self._db.execute("INSERT OR IGNORE INTO tasks VALUES (?, ?, ?)", row)

    def tasks(self) -> dict[str, Task]:
        """All tasks ever in the pool, in order of arrival.

        Raises:
            UserError: a stored task is damaged.
        """
        found = {}
        for task_id, body in self._read("SELECT id, body FROM tasks ORDER BY rowid"):
            try:
                task = Task.model_validate_json(body)
            except ValidationError as error:
                raise UserError(f"{self.folder}/run.sqlite: task {task_id}: {error}") from None
            if task.id != task_id:
                raise UserError(f"{self.folder}/run.sqlite: task {task_id} was altered")
            found[task_id] = task
        return found

    def add_groups(self, groups: Iterable[Group]) -> None:
        self._db.executemany(
            "INSERT INTO groups VALUES (?, ?, ?, ?, ?)",
            [(g.step, g.epoch, g.task_id, g.category, json.dumps(g.rewards)) for g in groups],
        )

    def groups(self) -> list[Group]:
        rows = self._read("SELECT task_id, category, rewards, epoch, step FROM groups")
        return [Group(t, c, tuple(json.loads(r)), e, s) for t, c, r, e, s in rows]

    def add_events(self, events: Iterable[Event]) -> None:
        self._db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", list(events))

    def events(self) -> list[Event]:
        return [Event(*row) for row in self._read("SELECT * FROM events ORDER BY rowid")]

    def add_epoch(self, epoch: int, first_step: int, task_ids: list[str]) -> None:
        row = (epoch, first_step, json.dumps(task_ids))
        self._db.execute("INSERT INTO epochs VALUES (?, ?, ?)", row)

    def epochs(self) -> list[tuple[int, int, list[str]]]:
        """(epoch, first step, fixed order of task ids), in order."""
        rows = self._read("SELECT * FROM epochs ORDER BY epoch")
        return [(e, s, json.loads(ids)) for e, s, ids in rows]

    def add_funnel(self, step: int, epoch: int, parent: str, outcomes: dict[str, int]) -> None:
        """Synthesis attempts on one parent, counted by outcome ("admitted" or the gate's name)."""
        rows = [(step, epoch, parent, outcome, n) for outcome, n in outcomes.items()]
        self._db.executemany("INSERT INTO funnel VALUES (?, ?, ?, ?, ?)", rows)

    def funnel(self) -> dict[str, int]:
        rows = self._read("SELECT outcome, SUM(count) FROM funnel GROUP BY outcome")
        return dict(rows)

    def add_episode(
        self, step: int, task_id: str, progress: float, ending: str, transcript: list[list[str]]
    ) -> None:
        """An example episode of a task; the latest one is shown in the report."""
        row = (step, task_id, progress, ending, json.dumps(transcript))
        self._db.execute("INSERT INTO episodes VALUES (?, ?, ?, ?, ?)", row)

    def episodes(self) -> dict[str, tuple[int, float, str, list[list[str]]]]:
        """The latest (step, progress, ending, [[role, text], ...]) of each task."""
        rows = self._read("SELECT task_id, step, progress, ending, transcript FROM episodes")
        return {t: (s, p, e, json.loads(m)) for t, s, p, e, m in rows}

    def add_evaluation(self, evaluations: Iterable[Evaluation]) -> None:
        rows = list(evaluations)
        self._db.executemany("INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?)", rows)

    def evaluations(self) -> list[Evaluation]:
        rows = self._read("SELECT * FROM evaluations ORDER BY step, rowid")
        return [Evaluation(*row) for row in rows]

    def rollback(self, step: int) -> None:
        """Forget everything that belongs to later steps."""
        with self.transaction():
            for table in STEPPED:
                self._db.execute(f"DELETE FROM {table} WHERE step > ?", (step,))

    def _take_lease(self) -> IO[str]:
        lease = open(self.folder / "lock", "w")  # noqa: SIM115  held until close
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lease.close()
            raise UserError(f"{self.folder}: another process is training here") from None
        lease.write(str(os.getpid()))
        lease.flush()
        return lease
