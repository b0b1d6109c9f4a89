"""What was measured in a run: the metrics of each training step, and the held-out sides."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rods.store.database import Database
from rods.store.schema import Evaluation
from rods.task import OVERALL


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

    def gradient_norms(self, first: int) -> dict[int, float]:
        """Training step -> norm of its gradient, from a step on, where there is one."""
        query = "SELECT step, line FROM metrics WHERE step >= ? ORDER BY step"
        lines = {step: self.db.load(line) for step, line in self.db.rows(query, first)}
        norms = {step: line.get("grad_norm") for step, line in lines.items()}
        return {step: norm for step, norm in norms.items() if isinstance(norm, float)}

    def add_heldout(self, rows: Iterable[Evaluation]) -> None:
        """Store a measurement of a held-out side."""
        self.db.insert("INSERT INTO evaluations", rows)

    def heldout(self) -> list[Evaluation]:
        """All measurements of the held-out sides, by step."""
        rows = self.db.rows("SELECT * FROM evaluations ORDER BY step, rowid")
        return [Evaluation(*row) for row in rows]

    def validation(self, first: int) -> list[tuple[int, float]]:
        """Step and mean progress of each measurement of the validation side from a step on."""
        query = """SELECT step, progress FROM evaluations
            WHERE side = 'validation' AND category = ? AND step >= ? ORDER BY step, rowid"""
        return list(self.db.rows(query, OVERALL, first))
