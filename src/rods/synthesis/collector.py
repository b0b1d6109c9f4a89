"""Offline synthesis: collects the tasks that workers make into one file (`rods synth`).

Tasks are compared with each other here, in the order of the jobs, so any number of workers gives
the same file. Until it is complete, a second file next to it keeps the progress for a resumed run:
lines of tasks, of parents given up, of refused tasks and of errors, and after each batch one with
the counts so far.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeInt, ValidationError

from rods.errors import UserError, log_notice, shown
from rods.files.output import Output
from rods.job_result import JobResult
from rods.synthesis.batches import Batches
from rods.synthesis.critique import Siblings
from rods.synthesis.jobs import ERROR, ErrorCounter
from rods.synthesis.part_file import PartFile
from rods.synthesis.pipeline import refused_row
from rods.task import Frozen, Task

REJECTED = "rejected in the review"
SURPLUS = "not needed"  # outcome of an attempt whose task was one too many
STOPS = 60  # calls that were stopped since the last task, after which the run ends


class Counts(Frozen):
    """The line after a batch: the counts so far."""

    funnel: dict[str, int]
    passed: dict[str, int]
    stopped: dict[str, int] = Field(default_factory=dict)
    batches: NonNegativeInt


@dataclass
class Collector:
    """Collects the tasks that workers make into one file.

    Args:
        settings: all that decide the outcome; a file that was begun with others is refused.
        patience: jobs in a row without an admitted task after which the run ends.
        trouble: returns then why a model failed, or "".
        notice: called with one line at the first error.
        keep_refused: whether refused tasks are written to a file of their own.
        fewer: whether a file with fewer tasks is written too, if no more can be made.
        rejected: tasks that a person has rejected, by their id; they and their near-copies are left
            out.

    Attributes:
        short: why there are fewer tasks than were asked for, or "".
        errors: jobs that ended in an error; too many in a row end the run.
        stopped: calls that a limit stopped, by tool and limit; too many without a task end the run.
    """

    out: Path
    settings: dict[str, Any]
    siblings: Siblings = field(default_factory=Siblings)
    funnel: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    stopped: Counter[str] = field(default_factory=Counter)
    made: int = 0
    patience: int = 960
    trouble: Callable[[], str] = str
    notice: Callable[[str], None] = log_notice
    errors: ErrorCounter = field(default_factory=ErrorCounter)
    keep_refused: bool = False
    fewer: bool = False
    rejected: Mapping[str, Task] = field(default_factory=dict)
    short: str = ""
    _refused: list[dict[str, Any]] = field(default_factory=list)
    _unwanted: Siblings = field(default_factory=Siblings)

    def __post_init__(self) -> None:
        for task in self.rejected.values():
            self._unwanted.add(task)
        if self.rejected:
            self.settings = {**self.settings, "rejected": sorted(self.rejected)}

    def run(self, target: int, batches: Batches) -> Generator[int]:
        """Make the file; yields after each batch how many tasks there are.

        Raises:
            BusyError: another process writes the file.
            UserError: the file cannot be written, was begun with other settings or is damaged, the
                parents give no more tasks, or too many jobs in a row ended in an error.
        """
        output = Output(self.out, folders=True)
        with output.named(), closing(self._part(output)) as part:
            number, barren, hung = self._resume(part), 0, self.stopped.total()
            with closing(batches(number, lambda: target - self.made)) as stream:
                while self.made < target:
                    batch = next(stream)
                    admitted = self._admit(batch, target)
                    number += 1
                    rows = [task.model_dump_json() for task in admitted]
                    for lost in self._lost(batch, part.given_up):
                        rows.append(json.dumps({"given up": lost}))
                    rows += map(json.dumps, self._refused)
                    counts = Counts(
                        funnel=self.funnel,
                        passed=self.passed,
                        stopped=self.stopped,
                        batches=number,
                    )
                    part.append([*rows, counts.model_dump_json()])
                    yield self.made
                    barren = 0 if admitted else barren + len(batch)
                    hung = self.stopped.total() if admitted else hung
                    over = barren >= self.patience or self.stopped.total() - hung >= STOPS
                    if self.made < target and (self.errors.gave_up or over):
                        if self.errors.gave_up or not (self.fewer and self.made):
                            raise UserError(self._ended(target, part.path))
                        self.short = f"no more could be made: {self._cause()}"
                        break
            part.finish()

    def _part(self, output: Output) -> PartFile:
        return PartFile(output, self.settings, keep_refused=self.keep_refused)

    def _ended(self, target: int, kept: Path | None) -> str:
        """Why there are fewer tasks than were asked for."""
        why = self._cause()
        if trouble := shown(self.trouble(), 200):
            why += f"; the model's last answer failed: {trouble}"
        if self.stopped:
            most_often = ", ".join(f"{n} {what}" for what, n in self.stopped.most_common(3))
            why += f"; calls were stopped: {most_often}"
        return (
            f"{self.out}: only {self.made} of {target} tasks could be made of these parent tasks; "
            + (self.errors.gave_up or why)
            + (f"; what was made is in {kept.name}" if kept else "")
        )

    def _cause(self) -> str:
        causes = {k: n for k, n in self.funnel.items() if k not in ("tried", "admitted")}
        most = max(causes, key=lambda cause: causes[cause], default="nothing")
        return f"most attempts ended in {most!r}"

    def _admit(self, batch: Sequence[JobResult], target: int) -> list[Task]:
        admitted = []
        self._refused = [row for result in batch for row in result.refused]
        for result in batch:
            self.funnel.update(result.funnel)
            self.passed.update(result.passed)
            self.stopped.update(result.stopped)
            for task in result.variants:
                fault = self._fault(task) if self.made < target else SURPLUS
                if fault:
                    self.funnel.update({fault: 1, "admitted": -1})
                    if self.keep_refused and fault != SURPLUS:
                        self._refused.append(refused_row(fault, task))
                    continue
                self.siblings.add(task)
                admitted.append(task)
                self.made += 1
        return admitted

    def _fault(self, task: Task) -> str:
        if task.id in self.rejected or self._unwanted.fault(task):
            return REJECTED
        return self.siblings.fault(task)

    def _lost(self, batch: Sequence[JobResult], kept: Path | None) -> Iterator[dict[str, Any]]:
        """Parents that were given up, and errors; the first error has its traceback.

        Args:
            kept: the file that they are written to, if there is one.
        """
        for result in batch:
            yield from result.failures
            self.errors.add(result.error)
            if result.error is None:
                continue
            self.funnel[ERROR] += 1
            if self.errors.total > 1:
                yield {"error": result.error.line}
                continue
            where = f"; its traceback goes to {kept.name}" if kept else ""
            self.notice(f"an error in synthesis: {result.error.line}{where}")
            yield {"error": result.error.line, "traceback": result.error.text}

    def _resume(self, part: PartFile) -> int:
        """Resume an interrupted run after its last whole batch; returns the next batch's number.

        Raises:
            UserError: it was begun with other settings, or a line is damaged.
        """
        batches, waiting, whole = 0, list[Task](), 0
        for line, (row, place) in enumerate(part.lines(), 1):
            try:
                if "settings" in row:
                    whole = place
                elif "batches" in row:
                    counts = Counts.model_validate(row)
                    for task in waiting:
                        self.siblings.add(task)
                    self.made += len(waiting)
                    self.funnel, self.passed = Counter(counts.funnel), Counter(counts.passed)
                    self.stopped = Counter(counts.stopped)
                    batches, waiting, whole = counts.batches, [], place
                elif not {"given up", "refused"} & row.keys():
                    waiting.append(Task.model_validate(row))
            except ValidationError:
                why = f"line {line} is damaged; remove the file to start again"
                raise UserError(f"{part.path}: {why}") from None
        self.errors.total = self.funnel[ERROR]  # only the first of all has its traceback
        part.keep(whole)
        return batches
