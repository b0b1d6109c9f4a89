"""A run's tasks, groups and events: written by the trainer, read by all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rods.curriculum.pool import BEFORE, Event
from rods.errors import UserError, first_problem
from rods.group import Group
from rods.store.database import DAMAGED, FILE, Database
from rods.store.epochs import Epochs
from rods.store.lease import Lease
from rods.store.measures import Measures
from rods.store.queue import Queue
from rods.store.schema import TRAINER, WORKER
from rods.task import Task

CHUNK = 500  # ids in one query


class Store:
    """Opens or creates `folder/run.sqlite`.

    Args:
        role: "trainer" and "worker" write, one of each at a time; "reader" never writes.
        durable: each transaction survives a power failure; off for simulations.

    Raises:
        UserError: the folder is in use, of another version, or not usable.

    Attributes:
        epochs: the epochs of the run.
        queue: its jobs and candidates.
        measures: metrics of its steps and measurements of its held-out sides.
    """

    def __init__(self, folder: Path, *, role: str = "trainer", durable: bool = True) -> None:
        self.folder = folder
        self._lease: Lease | None = None
        try:
            if role == "trainer":
                folder.mkdir(parents=True, exist_ok=True)
            elif not (folder / FILE).exists():
                raise UserError(f"{folder}: no run here ({FILE} is missing)")
            if role != "reader":
                self._lease = Lease(folder, role)
        except OSError as error:
            message = f"cannot be used as a run folder: {error.strerror}"
            raise UserError(
                f"{folder}: {message}; make it writable, or use another folder"
            ) from None
        try:
            self.db = Database(folder, role, durable=durable)
        except BaseException:
            self._release()
            raise
        self.epochs = Epochs(self.db)
        self.queue = Queue(self)
        self.measures = Measures(self.db)

    def close(self) -> None:
        self.db.close()
        self._release()

    def _release(self) -> None:
        if self._lease:
            self._lease.close()

    def transaction(self, *, fold: bool = True) -> AbstractContextManager[None]:
        """See `Database.transaction`."""
        return self.db.transaction(fold=fold)

    def snapshot(self) -> AbstractContextManager[None]:
        """See `Database.snapshot`."""
        return self.db.snapshot()

    def check(self) -> None:
        """See `Database.check`."""
        self.db.check()

    def meta(self, key: str) -> Any:
        rows = self.db.read("SELECT value FROM meta WHERE key = ?", key)
        return self.db.load(rows[0][0]) if rows else None

    def set_meta(self, key: str, value: Any) -> None:
        self.db.write("REPLACE INTO meta VALUES (?, ?)", key, json.dumps(value))

    def add_tasks(self, tasks: Iterable[Task], step: int) -> None:
        """Add tasks; one that is stored is left, since a task's id is the hash of its content."""
        self.db.insert("INSERT OR IGNORE INTO tasks", (_row(task, step) for task in tasks))

    def tasks(self, ids: Sequence[str] | None = None) -> dict[str, Task]:
        """Tasks by id: those of `ids`, in that order, or all except the candidates that wait.

        Raises:
            UserError: a stored task is damaged or missing.
        """
        if ids is None:
            return {i: self.parse(i, body) for i, body in self.db.rows(f"{_TASKS} {_JOINED}")}
        found: dict[str, Task] = {}
        for start in range(0, len(ids), CHUNK):
            some = ids[start : start + CHUNK]
            marks = ",".join("?" * len(some))
            for i, body in self.db.rows(f"{_TASKS} WHERE id IN ({marks})", *some):
                found[i] = self.parse(i, body)
        for i in ids:
            if i not in found:
                raise UserError(f"{self.folder / FILE}: task {i} is not stored; {DAMAGED}")
        return {i: found[i] for i in ids}

    def parse(self, task_id: str, body: str) -> Task:
        """A stored task.

        Raises:
            UserError: it is damaged, or does not match its id.
        """
        try:
            task = Task.model_validate_json(body)
        except ValidationError as error:
            message = f"task {task_id}: {first_problem(error)}; {DAMAGED}"
            raise UserError(f"{self.folder / FILE}: {message}") from None
        if task.id != task_id:
            raise UserError(f"{self.folder / FILE}: task {task_id} was altered; {DAMAGED}")
        return task

    def categories(self) -> dict[str, str]:
        """Task id -> category, of all except the candidates that wait; no task is read."""
        return dict(self.db.rows(f"SELECT id, category FROM tasks {_JOINED}"))

    def has_task(self, task_id: str) -> bool:
        """Whether the task is stored, also as a candidate."""
        return bool(self.db.read("SELECT 1 FROM tasks WHERE id = ?", task_id))

    def add_groups(self, groups: Iterable[Group]) -> None:
        self.db.insert("INSERT INTO groups", map(_group_row, groups))

    def iter_groups(self, epoch: int | None = None) -> Iterator[Group]:
        """Groups in the order of training, of one epoch or of all."""
        where = "" if epoch is None else " WHERE epoch = ?"
        query = f"SELECT {_GROUP} FROM groups{where}"
        rows = self.db.rows(query, *([] if epoch is None else [epoch]))
        for t, c, rewards, e, s, size, *more in rows:
            outcomes, passes = (None if x is None else tuple(self.db.load(x)) for x in more)
            yield Group(t, c, tuple(self.db.load(rewards)), e, s, size, outcomes, passes)

    def groups(self) -> list[Group]:
        """All groups."""
        return list(self.iter_groups())

    def last_step(self) -> int:
        """Step of the latest groups, or 0."""
        return int(self.db.read("SELECT CAST(MAX(step) AS INT) FROM groups")[0][0] or 0)

    def add_events(self, events: Iterable[Event]) -> None:
        self.db.insert("INSERT INTO events", events)

    def iter_events(self) -> Iterator[Event]:
        """Events in order.

        Raises:
            UserError: one has an unknown kind.
        """
        for row in self.db.rows("SELECT * FROM events ORDER BY rowid"):
            event = Event(*row)
            if event.kind not in BEFORE:
                raise UserError(f"{self.folder / FILE}: a task was {event.kind}; {DAMAGED}")
            yield event

    def events(self) -> list[Event]:
        """All events, in order."""
        return list(self.iter_events())

    def has_events(self) -> bool:
        return bool(self.db.read("SELECT 1 FROM events LIMIT 1"))

    def jobs(self) -> list[tuple[str, int]]:
        """The parent task of each job, with the step at which it was chosen."""
        return list(self.db.rows("SELECT task_id, step FROM jobs"))

    def funnel(self) -> dict[str, int]:
        """Synthesis attempts by outcome ("admitted" or the gate's name)."""
        return dict(self.db.read("SELECT outcome, SUM(count) FROM funnel GROUP BY outcome"))

    def add_episode(
        self, step: int, task_id: str, progress: float, ending: str, transcript: list[list[str]]
    ) -> None:
        """Add an example episode of a task; the report shows the latest one."""
        row = (step, task_id, progress, ending, json.dumps(transcript))
        self.db.write("INSERT INTO episodes VALUES (?, ?, ?, ?, ?)", *row)

    def episodes(self) -> dict[str, tuple[int, float, str, list[list[str]]]]:
        """The latest (step, progress, ending, [[role, text], ...]) of each task."""
        rows = self.db.rows("SELECT task_id, step, progress, ending, transcript FROM episodes")
        return {t: (s, p, e, self.db.load(m)) for t, s, p, e, m in rows}

    def rollback(self, step: int, *, queues: bool) -> list[str]:
        """Remove the trainer's rows of later steps; returns the ids of the removed tasks.

        Args:
            queues: remove jobs and candidates too, which are then made again. A worker's remain.
        """
        with self.transaction():
            for table in TRAINER + (WORKER if queues else ()):
                self.db.write(f"DELETE FROM {table} WHERE step > ?", step)
            if queues:
                self.db.write(_UNDO_JOBS, step)
            gone = [task_id for (task_id,) in self.db.read(f"SELECT id FROM {_LATER}", step)]
            self.db.write(f"DELETE FROM {_LATER}", step)
        return gone


_GROUP = "task_id, category, rewards, epoch, step, size, outcomes, passes"


def _group_row(g: Group) -> tuple[Any, ...]:
    more = (None if x is None else json.dumps(x) for x in (g.outcomes, g.passes))
    return g.step, g.epoch, g.task_id, g.category, json.dumps(g.rewards), g.size, *more


def _row(task: Task, step: int) -> tuple[Any, ...]:
    body = task.model_dump_json()
    return task.id, step, task.category, task.origin, task.parent, task.born, body


_TASKS = "SELECT id, body FROM tasks"
_JOINED = "WHERE id NOT IN (SELECT id FROM waiting) ORDER BY rowid"
_UNDO_JOBS = """UPDATE jobs SET taken = 0, outcome = '', seconds = NULL, done = NULL,
    tokens_in = NULL, tokens_out = NULL, cost = NULL WHERE done > ? OR outcome = ''"""
_LATER = "tasks WHERE step > ? AND id NOT IN (SELECT id FROM candidates)"
