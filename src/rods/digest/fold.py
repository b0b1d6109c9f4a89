"""How rows of a run's file change a digest."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from rods.curriculum.boundary import Thresholds
from rods.curriculum.pool import AFTER
from rods.digest.words import said_in, spoken_in
from rods.group import Group
from rods.store.database import Database

BINS = 20  # of a mean outcome
ENTERED = ("injected", "woken")
CHANGES = {"seeded": 1, "injected": 1, "woken": 1, "rested": -1, "retired": -1}
"""Kind of event -> change of the number of live tasks."""
GENERATED = ("injected", "retired")  # kinds of events of generated tasks; the others have seeds'

Key = tuple[str, int, str]


class Fold:
    """Adds rows to a digest. Call `flush` before its transaction ends.

    Args:
        db: of the digest.
        source: of the run; reads its JSON.
        limits: between zones.
        state: of a task that no event has named yet.
    """

    def __init__(
        self, db: sqlite3.Connection, source: Database, limits: Thresholds, state: str
    ) -> None:
        self.db, self.source, self.limits, self.state = db, source, limits, state
        self._known = set[str]()  # tools
        self._counts: dict[Key, list[float]] = defaultdict(lambda: [0, 0.0])

    def add(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows of a table, as `News.after` gives them."""
        getattr(self, f"_{table}")(rows)

    def flush(self) -> None:
        """Write what was counted."""
        query = """INSERT INTO counts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
            SET n = n + excluded.n, total = total + excluded.total"""
        rows = ((*key, n, total) for key, (n, total) in self._counts.items())
        self.db.executemany(query, rows)
        self._counts.clear()

    def _count(self, kind: str, place: int, name: str, n: int = 1, total: float = 0.0) -> None:
        found = self._counts[kind, place, name]
        found[0] += n
        found[1] += total

    def _tasks(self, rows: Sequence[tuple[Any, ...]]) -> None:
        for number, task_id, category, origin, parent, born, body in rows:
            said, tools, excerpt = said_in(self.source.load(body))
            family = self._family(parent) if parent else task_id
            row = (number, task_id, category, self.state, origin, parent, family, born, excerpt)
            self.db.execute(
                """INSERT INTO tasks (n, id, category, state, origin, parent, family, born, excerpt)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                row,
            )
            words = "INSERT INTO task_words (rowid, said, tools) VALUES (?, ?, ?)"
            self.db.execute(words, (number, f"{task_id}\n{said}", tools))
            self._tools(tools)

    def _tools(self, names: str) -> None:
        new = {*names.split()} - self._known
        self._known |= new
        self.db.executemany("INSERT OR IGNORE INTO tools VALUES (?)", ((name,) for name in new))

    def _family(self, parent: str) -> str:
        found = self.db.execute("SELECT family FROM tasks WHERE id = ?", (parent,)).fetchone()
        return str(found[0]) if found else parent

    def _events(self, rows: Sequence[tuple[Any, ...]]) -> None:
        for number, _, epoch, task_id, kind, reason in rows:
            self._link(task_id, "events", number)
            if kind in AFTER:
                query = "UPDATE tasks SET state = ?, joined = joined OR ?, seed = seed OR ?"
                came = (kind == "injected", kind == "seeded")
                self.db.execute(f"{query} WHERE id = ?", (AFTER[kind], *came, task_id))
            if kind == "injected" and reason:
                query = "UPDATE tasks SET parent = ?, family = ? WHERE id = ?"
                self.db.execute(query, (reason, self._family(reason), task_id))
            if change := CHANGES.get(kind):
                origin = "generated" if kind in GENERATED else "seeds"
                self._count("live", epoch, origin, change)
            if kind in ENTERED:
                self._count("flow", epoch, kind)
            elif kind in ("retired", "rested"):
                self._count("flow", epoch, reason if kind == "retired" else kind, -1)
            self._count("event", epoch, kind)

    def _groups(self, rows: Sequence[tuple[Any, ...]]) -> None:
        for number, step, epoch, task_id, category, rewards, size, outcomes in rows:
            self._link(task_id, "groups", number)
            verified = None if outcomes is None else tuple(self.source.load(outcomes))
            given = tuple(self.source.load(rewards))
            group = Group(task_id, category, given, epoch, step, size, verified)
            self._count("signal", epoch, group.signal.value)
            if not group.complete:
                continue
            zone = self.limits.zone(group.mean).value
            self._count("zone", epoch, zone, 1, _variance(group))
            self._first(group, zone)

    def _first(self, group: Group, zone: str) -> None:
        """Count the first complete group of a task."""
        query = "UPDATE tasks SET first = ? WHERE id = ? AND first IS NULL"
        if not self.db.execute(query, (group.mean, group.task_id)).rowcount:
            return
        query = "SELECT seed FROM tasks WHERE id = ?"
        (seed,) = self.db.execute(query, (group.task_id,)).fetchone()
        origin = "seeds" if seed else "generated"
        self._count(f"landing {origin}", min(BINS - 1, int(group.mean * BINS + 1e-9)), "")
        self._count(f"first {origin}", 0, zone)

    def _episodes(self, rows: Sequence[tuple[Any, ...]]) -> None:
        for number, step, task_id, progress, ending, transcript in rows:
            said, tools = spoken_in(self.source.load(transcript))
            query = "UPDATE tasks SET ending = ? WHERE id = ? RETURNING category"
            found = self.db.execute(query, (ending, task_id)).fetchall()
            category = found[0][0] if found else ""
            row = (number, step, task_id, category, progress, ending)
            self.db.execute("INSERT INTO episodes VALUES (?, ?, ?, ?, ?, ?)", row)
            words = "INSERT INTO episode_words (rowid, said, tools) VALUES (?, ?, ?)"
            self.db.execute(words, (number, f"{task_id}\n{said}", tools))

    def _metrics(self, rows: Sequence[tuple[Any, ...]]) -> None:
        for _, step, text in rows:
            line = self.source.load(text)
            parts, pool = line.get("part_seconds") or {}, line.get("pool") or {}
            row = (step, line.get("epoch"), line.get("signal"), pool.get("active"), line["seconds"])
            self.db.execute("REPLACE INTO steps VALUES (?, ?, ?, ?, ?)", row)
            for name, seconds in parts.items():
                self.db.execute("REPLACE INTO parts VALUES (?, ?, ?)", (step, name, seconds))

    def _link(self, task_id: str, what: str, number: int) -> None:
        query = "INSERT OR IGNORE INTO links SELECT n, ?, ? FROM tasks WHERE id = ?"
        self.db.execute(query, (what, number, task_id))


def _variance(group: Group) -> float:
    """`Group.variance` in plain floats, which take a tenth of its time."""
    mean, values = group.mean, group.verified
    return sum((value - mean) ** 2 for value in values) / len(values)
