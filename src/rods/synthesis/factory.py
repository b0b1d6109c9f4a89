"""The offline pipeline: many tasks, in parallel, repeatable, and resumable (`rods synth`).

What a task must not resemble among its siblings is decided here, in the order of the jobs, so that
any number of workers gives the same file. Progress is kept beside it until it is whole: lines of
tasks and of seeds that were given up, and after each batch one line that says how far it got.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rods.errors import UserError
from rods.synthesis.critique import Siblings
from rods.synthesis.maker import Batch
from rods.task import Task

GIVEN_UP = ".given_up.jsonl"


@dataclass
class Factory:
    """Collects what the workers make into one file.

    Args:
        settings: whatever decides the outcome; a file that was begun with others is refused.
        patience: jobs running without one admitted task, after which nothing more is hoped for.
    """

    out: Path
    settings: dict[str, Any]
    siblings: Siblings = field(default_factory=Siblings)
    funnel: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    made: int = 0
    patience: int = 960

    def run(self, wanted: int, batches: Callable[[int], Iterator[Batch]]) -> Iterator[int]:
        """Make the file, and tell after each batch how many tasks there are.

        Args:
            batches: the batches from a number on, in order.

        Raises:
            UserError: the file cannot be written, was begun with other settings, or the seeds
                give no more tasks.
        """
        part = self.out.with_name(self.out.name + ".part")
        if self.out.is_dir():
            raise UserError(f"{self.out}: cannot be written: is a folder")
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            number = self._take_up(part)
            stream, barren = batches(number), 0
            with part.open("a", encoding="utf-8") as file:
                while self.made < wanted:
                    batch = self._next(stream, part, number)
                    admitted = self._admit(batch, wanted)
                    number += 1
                    state = {"funnel": self.funnel, "passed": self.passed, "batches": number}
                    rows = [task.model_dump_json() for task in admitted]
                    rows += [json.dumps({"given up": lost}) for lost in batch.given_up]
                    rows.append(json.dumps(state))
                    file.write("".join(f"{row}\n" for row in rows))
                    file.flush()
                    yield self.made
                    barren = 0 if admitted else barren + len(batch.tasks)
                    if barren >= self.patience:
                        raise UserError(
                            f"{self.out}: only {self.made} of {wanted} tasks could be made of"
                            f" these seeds; most attempts ended in {self._commonest()}; what there"
                            f" is stands in {part.name}"
                        )
            _finish(part, self.out)
        except OSError as error:
            raise UserError(f"{self.out}: cannot be written: {error.strerror}") from None

    def _next(self, stream: Iterator[Batch], part: Path, number: int) -> Batch:
        """The next batch. If there is not even a first one, nothing is left behind."""
        try:
            return next(stream)
        except UserError:
            if not number:
                part.unlink()
            raise

    def _commonest(self) -> str:
        causes = {k: n for k, n in self.funnel.items() if k not in ("tried", "admitted")}
        return repr(max(causes, key=lambda cause: causes[cause], default="nothing"))

    def _admit(self, batch: Batch, wanted: int) -> list[Task]:
        self.funnel.update(batch.funnel)
        self.passed.update(batch.passed)
        admitted = []
        for task in batch.tasks:
            if task is None or self.made >= wanted:
                continue
            if fault := self.siblings.fault(task):
                self.funnel.update({fault: 1, "admitted": -1})
                continue
            self.siblings.add(task)
            admitted.append(task)
            self.made += 1
        return admitted

    def _take_up(self, part: Path) -> int:
        """Take up an interrupted run after its last whole batch; returns the next one's number."""
        batches, waiting, whole, read = 0, list[Task](), 0, 0
        for line in part.open("rb") if part.exists() else ():
            read += len(line)
            try:
                row = json.loads(line)
            except ValueError:  # torn by the interruption
                break
            if "settings" in row:
                if row["settings"] != self.settings:
                    raise UserError(f"{part}: was begun with other settings; remove it first")
                whole = read
            elif "batches" in row:
                for task in waiting:
                    self.siblings.add(task)
                self.made += len(waiting)
                self.funnel, self.passed = Counter(row["funnel"]), Counter(row["passed"])
                batches, waiting, whole = row["batches"], [], read
            elif "given up" not in row:
                waiting.append(Task.model_validate(row))
        if not whole:
            part.write_text(json.dumps({"settings": self.settings}) + "\n", encoding="utf-8")
        else:
            os.truncate(part, whole)
        return batches


def _finish(part: Path, out: Path) -> None:
    """The tasks under their own name, and beside them the seeds that were given up, with why."""
    lost = out.with_name(out.name + GIVEN_UP)
    for start, path in (('{"given up"', lost), ('{"category"', out)):
        whole = out.with_name(out.name + ".whole")
        with part.open(encoding="utf-8") as source, whole.open("w", encoding="utf-8") as target:
            target.writelines(line for line in source if line.startswith(start))
            target.flush()
            os.fsync(target.fileno())
        whole.replace(path)
    part.unlink()
