"""The epochs of a run: their order, and the fraction of a task that each end carried over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any

from rods.errors import UserError
from rods.store.database import DAMAGED, Database
from rods.store.schema import EndRow, Epoch

_EPOCHS = """SELECT epoch, epochs.step, ends.step, stage, task_ids
    FROM epochs LEFT JOIN ends USING (epoch)"""
_FRACTION = re.compile(r"\d+(/\d+)?")


class Epochs:
    """Epochs in a run's file. Reading a damaged one raises `UserError`."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def add(self, epoch: int, first_step: int, task_ids: Sequence[str], stage: int = 0) -> None:
        """Store a new epoch, whose end wants no candidates yet.

        Args:
            stage: index of its stage.
        """
        # JSON without escapes, since ids are hashes.
        ids = '["' + '", "'.join(task_ids) + '"]' if task_ids else "[]"
        row = (epoch, first_step, 0, ids, stage)
        self.db.write("INSERT INTO epochs VALUES (?, ?, ?, ?, ?)", *row)

    def close(self, epoch: int, step: int, carried: Fraction) -> None:
        """Mark an epoch as ended; call it in one transaction with all changes of its end.

        Args:
            carried: see `Admission.carried`.
        """
        self.db.write("INSERT INTO ends VALUES (?, ?, ?)", epoch, step, str(carried))

    def all(self) -> list[Epoch]:
        """All epochs, in order."""
        rows = self.db.rows(f"{_EPOCHS} ORDER BY epoch")
        return [Epoch(e, s, end, at, self.db.load(ids)) for e, s, end, at, ids in rows]

    def last(self) -> Epoch | None:
        """The latest epoch."""
        query = f"{_EPOCHS} ORDER BY epoch DESC LIMIT 1"
        for epoch, step, closed, stage, ids in self.db.read(query):
            return Epoch(epoch, step, closed, stage, self.db.load(ids))
        return None

    def of_stage(self, stage: int) -> tuple[int, int]:
        """First training step and number of the epochs of a stage, which follow each other."""
        query = "SELECT MIN(step), COUNT(*) FROM epochs WHERE stage = ?"
        first, count = self.db.read(query, stage)[0]
        return int(first or 1), int(count)

    def last_index(self) -> int:
        """Index of the latest epoch; -1 before the first."""
        found = self.db.read("SELECT MAX(epoch) FROM epochs")[0][0]
        return -1 if found is None else int(found)

    def want(self, epoch: int, wanted: int) -> int:
        """Store how many candidates the end of an epoch can admit; returns it."""
        self.db.write("UPDATE epochs SET wanted = ? WHERE epoch = ?", wanted, epoch)
        return wanted

    def wanted(self) -> int:
        """Candidates that the end of the latest epoch can admit; 0 if the run ends before."""
        rows = self.db.read("SELECT CAST(wanted AS INT) FROM epochs ORDER BY epoch DESC LIMIT 1")
        return int(rows[0][0] or 0) if rows else 0

    def ends(self) -> list[EndRow]:
        """The ends of epochs, in order."""
        rows = self.db.read("SELECT epoch, step, carried FROM ends ORDER BY epoch")
        return [EndRow(epoch, step, self._fraction(text)) for epoch, step, text in rows]

    def carried(self) -> Fraction:
        """The fraction of a task that the latest end carried over."""
        for (text,) in self.db.read("SELECT carried FROM ends ORDER BY epoch DESC LIMIT 1"):
            return self._fraction(text)
        return Fraction(0)

    def _fraction(self, text: Any) -> Fraction:
        """A stored fraction below 1, such as "3/5".

        Raises:
            UserError: it is damaged.
        """
        with suppress(ValueError, ZeroDivisionError):
            # The pattern refuses forms such as 1e999999999, which take long to read.
            found = Fraction(text if _FRACTION.fullmatch(str(text)) else -1)
            if 0 <= found < 1:
                return found
        raise UserError(f"{self.db.path}: the carried-over value is no fraction; {DAMAGED}")
