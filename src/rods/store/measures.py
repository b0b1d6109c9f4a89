"""What was measured in a run: the metrics of each training step, and the held-out sides."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from math import fsum
from typing import Any

from rods.store.database import Database
from rods.store.schema import Evaluation, TaskMeasurement
from rods.task import OVERALL

VALIDATION = "validation"


class Measures:
    """The measurements of a run's store."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def add_metrics(self, step: int, line: dict[str, Any]) -> None:
        """Store the line of a training step."""
        self.db.write("REPLACE INTO metrics VALUES (?, ?)", step, json.dumps(line))

    def metrics(self) -> list[dict[str, Any]]:
        """The line of each training step."""
        rows = self.db.rows("SELECT line FROM metrics ORDER BY step")
        return [self.db.load(line) for (line,) in rows]

    def last_metrics(self) -> dict[str, Any]:
        """The line of the latest training step; {} before the first."""
        rows = self.db.read("SELECT line FROM metrics ORDER BY step DESC LIMIT 1")
        found: dict[str, Any] = self.db.load(rows[0][0]) if rows else {}
        return found

    def gradient_norms(self, first: int) -> dict[int, float]:
        """Training step -> norm of its gradient, from a step on, where there is one."""
        query = "SELECT step, line FROM metrics WHERE step >= ? ORDER BY step"
        lines = {step: self.db.load(line) for step, line in self.db.rows(query, first)}
        norms = {step: line.get("grad_norm") for step, line in lines.items()}
        return {step: norm for step, norm in norms.items() if isinstance(norm, float)}

    def add_heldout(self, rows: Iterable[TaskMeasurement]) -> None:
        """Store a measurement of a held-out side, task by task."""
        self.db.insert("INSERT INTO heldout", rows)

    def of_tasks(self, side: str, step: int) -> list[TaskMeasurement]:
        """The measurements of a side's tasks after a step."""
        query = "SELECT * FROM heldout WHERE side = ? AND step = ? ORDER BY rowid"
        return [TaskMeasurement(*row) for row in self.db.rows(query, side, step)]

    def heldout(self) -> list[Evaluation]:
        """The held-out sides by step, each overall and then by category."""
        rows = self.db.rows("SELECT * FROM heldout ORDER BY step, rowid")
        sides: dict[tuple[int, str], list[TaskMeasurement]] = {}
        for row in map(TaskMeasurement._make, rows):
            sides.setdefault((row.step, row.side), []).append(row)
        return [found for some in sides.values() for found in summed(some)]

    def validation(self, first: int) -> list[tuple[int, float]]:
        """Step and mean progress of each measurement of the validation side from a step on."""
        query = """SELECT step, SUM(progress * episodes) / SUM(episodes) FROM heldout
            WHERE side = ? AND step >= ? GROUP BY step ORDER BY step"""
        return list(self.db.rows(query, VALIDATION, first))

    def last_validation(self, before: int) -> int | None:
        """The latest step before a step after which the validation side was measured, if any."""
        query = "SELECT MAX(step) FROM heldout WHERE side = ? AND step < ?"
        found: int | None = self.db.read(query, VALIDATION, before)[0][0]
        return found


def summed(rows: Sequence[TaskMeasurement]) -> list[Evaluation]:
    """One side and step, overall and by category; each episode has the same weight."""
    parts: dict[str, list[TaskMeasurement]] = {OVERALL: [*rows]} if rows else {}
    for row in rows:
        parts.setdefault(row.category, []).append(row)
    return [
        Evaluation(
            found[0].step,
            found[0].side,
            category,
            _mean([(row.progress, row.episodes) for row in found]),
            _mean([(row.complete, row.episodes) for row in found]),
            sum(row.episodes for row in found),
        )
        for category, found in parts.items()
    ]


def _mean(found: Sequence[tuple[float, int]]) -> float:
    return fsum(value * episodes for value, episodes in found) / sum(n for _, n in found)
