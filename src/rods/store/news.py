"""What a run's file has that a reader has not seen yet, table by table.

Tables of a run only grow, except where a run goes back to a checkpoint: that removes the latest
rows. Each read is short, so no reader keeps the trainer from folding its log.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rods.store.database import Database

READS = {
    "tasks": "id, category, origin, parent, born, body",
    "events": "step, epoch, task_id, kind, reason",
    "groups": "step, epoch, task_id, category, rewards, size, outcomes",
    "episodes": "step, task_id, progress, ending, transcript",
    "metrics": "step, line",
}
"""Table -> its columns, in the order in which tables are read: later ones name the first's rows."""
SIGNS = {
    "tasks": "id",
    "events": "step || ' ' || task_id || ' ' || kind",
    "groups": "step || ' ' || task_id || ' ' || rewards",
    "episodes": "step || ' ' || task_id || ' ' || ending",
    "metrics": "line",
}
"""Table -> what a row is recognised by."""


class News:
    """Rows of a run's file by their numbers."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def ends(self) -> dict[str, int]:
        """The last row of each table, all of one moment; 0 for an empty table."""
        columns = ", ".join(f"(SELECT MAX(rowid) FROM {table})" for table in READS)
        found = self.db.read(f"SELECT {columns}")[0]
        return {table: int(row or 0) for table, row in zip(READS, found, strict=True)}

    def sign(self, table: str, row: int) -> str:
        """What a row is recognised by; "" if it is not there."""
        found = self.db.read(f"SELECT {SIGNS[table]} FROM {table} WHERE rowid = ?", row)
        return str(found[0][0]) if found else ""

    def after(self, table: str, row: int, end: int, most: int) -> list[tuple[Any, ...]]:
        """Rows after one and up to another: the number of each, then its columns (`READS`)."""
        query = f"""SELECT rowid, {READS[table]} FROM {table}
            WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"""
        return self.db.read(query, row, end, most)

    def rows(self, table: str, numbers: Iterable[int]) -> list[tuple[Any, ...]]:
        """The rows with these numbers that are there, in that order."""
        query = f"SELECT rowid, {READS[table]} FROM {table} WHERE rowid = ?"
        return [row for number in numbers for row in self.db.read(query, number)]

    def transcript(self, row: int) -> list[list[str]]:
        """The messages of an example episode, as pairs of role and text; [] if it is not there."""
        return [
            message for *_, text in self.rows("episodes", [row]) for message in self.db.load(text)
        ]

    def step(self) -> int:
        """Step of the latest groups, or 0; unlike `Store.last_step` it reads one row."""
        found = self.db.read("SELECT step FROM groups ORDER BY rowid DESC LIMIT 1")
        return int(found[0][0]) if found else 0
