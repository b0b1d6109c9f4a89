"""The offline pipeline: many tasks, in parallel, repeatable, and resumable (`rods synth`).

What a task must not resemble among its siblings is decided here, in the order of the jobs, so that
any number of workers gives the same file. Progress is kept beside it until it is whole: lines of
tasks and of seeds that were given up, and after each batch one line that says how far it got.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rods.errors import UserError
from rods.output import Output
from rods.secret import shown
from rods.synthesis.critique import Siblings
from rods.synthesis.maker import Batch, Batches
from rods.synthesis.unfinished import Unfinished
from rods.task import Task

SURPLUS = "not needed"  # outcome of an attempt that made one task more than was wanted


@dataclass
class Factory:
    """Collects what the workers make into one file.

    Args:
        settings: whatever decides the outcome; a file that was begun with others is refused.
        patience: jobs running without one admitted task, after which nothing more is hoped for.
        trouble: tells then what else went wrong, if it knows.
    """

    out: Path
    settings: dict[str, Any]
    siblings: Siblings = field(default_factory=Siblings)
    funnel: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    made: int = 0
    patience: int = 960
    trouble: Callable[[], str] = str

    def run(self, wanted: int, batches: Batches) -> Generator[int]:
        """Make the file, and tell after each batch how many tasks there are.

        Raises:
            BusyError: another process writes the file.
            UserError: the file cannot be written, was begun with other settings, or the seeds
                give no more tasks.
        """
        output = Output(self.out, folders=True)
        with output.named(), closing(Unfinished(output, self.settings)) as unfinished:
            number, barren = self._take_up(unfinished), 0
            with closing(batches(number, lambda: wanted - self.made)) as stream:
                while self.made < wanted:
                    batch = next(stream)
                    admitted = self._admit(batch, wanted)
                    number += 1
                    state = {"funnel": self.funnel, "passed": self.passed, "batches": number}
                    rows = [task.model_dump_json() for task in admitted]
                    rows += [json.dumps({"given up": lost}) for lost in batch.given_up]
                    unfinished.append([*rows, json.dumps(state)])
                    yield self.made
                    barren = 0 if admitted else barren + len(batch.tasks)
                    if barren >= self.patience:
                        raise UserError(self._barren(wanted, unfinished.path))
            unfinished.finish()

    def _barren(self, wanted: int, kept: Path | None) -> str:
        causes = {k: n for k, n in self.funnel.items() if k not in ("tried", "admitted")}
        most = max(causes, key=lambda cause: causes[cause], default="nothing")
        trouble = shown(self.trouble(), 200)
        return (
            f"{self.out}: only {self.made} of {wanted} tasks could be made of these seeds; most"
            f" attempts ended in {most!r}"
            + (f"; the model's last answer failed: {trouble}" if trouble else "")
            + (f"; what was made is in {kept.name}" if kept else "")
        )

    def _admit(self, batch: Batch, wanted: int) -> list[Task]:
        self.funnel.update(batch.funnel)
        self.passed.update(batch.passed)
        admitted = []
        for task in batch.tasks:
            if task is None:
                continue
            fault = self.siblings.fault(task) if self.made < wanted else SURPLUS
            if fault:
                self.funnel.update({fault: 1, "admitted": -1})
                continue
            self.siblings.add(task)
            admitted.append(task)
            self.made += 1
        return admitted

    def _take_up(self, unfinished: Unfinished) -> int:
        """Take up an interrupted run after its last whole batch; returns the next one's number."""
        batches, waiting, whole = 0, list[Task](), 0
        for row, place in unfinished.lines():
            if "settings" in row:
                whole = place
            elif "batches" in row:
                for task in waiting:
                    self.siblings.add(task)
                self.made += len(waiting)
                self.funnel, self.passed = Counter(row["funnel"]), Counter(row["passed"])
                batches, waiting, whole = row["batches"], [], place
            elif "given up" not in row:
                waiting.append(Task.model_validate(row))
        unfinished.keep(whole)
        return batches
