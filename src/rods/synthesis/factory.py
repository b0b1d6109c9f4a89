"""The offline pipeline: many tasks, in parallel, repeatable, and resumable (`rods synth`).

What a task must not resemble among its siblings is decided here, in the order of the jobs, so that
any number of workers gives the same file. Progress is kept beside it until it is whole: lines of
tasks, of seeds that were given up and of errors, and after each batch one line that says how far it
got.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rods.errors import UserError, shown, tell_log
from rods.files.held import hold
from rods.files.output import Output
from rods.made import Made
from rods.synthesis.critique import Siblings
from rods.synthesis.jobs import ERROR, Trouble
from rods.synthesis.maker import Batches
from rods.task import Task

SURPLUS = "not needed"  # outcome of an attempt that made one task more than was wanted
PART = ".part"
GIVEN_UP = ".given_up.jsonl"
START = b'{"settings":'


@dataclass
class Factory:
    """Collects what the workers make into one file.

    Args:
        settings: whatever decides the outcome; a file that was begun with others is refused.
        patience: jobs running without one admitted task, after which nothing more is hoped for.
        trouble: tells then what else went wrong, if it knows.
        tell: called with one line at the first error.

    Attributes:
        errors: the jobs that ended in one; too many in a row end the run.
    """

    out: Path
    settings: dict[str, Any]
    siblings: Siblings = field(default_factory=Siblings)
    funnel: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    made: int = 0
    patience: int = 960
    trouble: Callable[[], str] = str
    tell: Callable[[str], None] = tell_log
    errors: Trouble = field(default_factory=Trouble)

    def run(self, wanted: int, batches: Batches) -> Generator[int]:
        """Make the file, and tell after each batch how many tasks there are.

        Raises:
            BusyError: another process writes the file.
            UserError: the file cannot be written, was begun with other settings, the seeds give no
                more tasks, or too many jobs in a row ended in an error.
        """
        output = Output(self.out, folders=True)
        with output.named(), closing(Unfinished(output, self.settings)) as unfinished:
            number, barren = self._take_up(unfinished), 0
            with closing(batches(number, lambda: wanted - self.made)) as stream:
                while self.made < wanted:
                    batch = next(stream)
                    admitted = self._admit(batch, wanted)
                    number += 1
                    rows = [task.model_dump_json() for task in admitted]
                    lost = self._lost(batch, unfinished.given_up)
                    rows += [json.dumps({"given up": each}) for each in lost]
                    state = {"funnel": self.funnel, "passed": self.passed, "batches": number}
                    unfinished.append([*rows, json.dumps(state)])
                    yield self.made
                    barren = 0 if admitted else barren + len(batch)
                    if self.made < wanted and (self.errors.gave_up or barren >= self.patience):
                        raise UserError(self._ended(wanted, unfinished.path))
            unfinished.finish()

    def _ended(self, wanted: int, kept: Path | None) -> str:
        """Why there are not as many tasks as were wanted."""
        causes = {k: n for k, n in self.funnel.items() if k not in ("tried", "admitted")}
        most = max(causes, key=lambda cause: causes[cause], default="nothing")
        why = f"most attempts ended in {most!r}"
        if trouble := shown(self.trouble(), 200):
            why += f"; the model's last answer failed: {trouble}"
        return (
            f"{self.out}: only {self.made} of {wanted} tasks could be made of these seeds; "
            + (self.errors.gave_up or why)
            + (f"; what was made is in {kept.name}" if kept else "")
        )

    def _admit(self, batch: Sequence[Made], wanted: int) -> list[Task]:
        admitted = []
        for made in batch:
            self.funnel.update(made.funnel)
            self.passed.update(made.passed)
            for task in made.variants:
                fault = self.siblings.fault(task) if self.made < wanted else SURPLUS
                if fault:
                    self.funnel.update({fault: 1, "admitted": -1})
                    continue
                self.siblings.add(task)
                admitted.append(task)
                self.made += 1
        return admitted

    def _lost(self, batch: Sequence[Made], kept: Path | None) -> Iterator[dict[str, Any]]:
        """Seeds that were given up, and errors; the first one shows what is broken.

        Args:
            kept: the file that they go to, if there is one.
        """
        for made in batch:
            yield from made.failures
            self.errors.note(made.error)
            if made.error is None:
                continue
            self.funnel[ERROR] += 1
            if self.errors.errors > 1:
                yield {"error": made.error.line}
                continue
            where = f"; its traceback goes to {kept.name}" if kept else ""
            self.tell(f"an error in synthesis: {made.error.line}{where}")
            yield {"error": made.error.line, "traceback": made.error.text}

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


class Unfinished:
    """What was made so far: lines of JSON beside the output, appended by one writer at a time.

    The first line has the settings, so that it goes on only under the same ones. An output that is
    no plain file (a device, a pipe) has nothing beside it: its lines wait in a file without a name,
    and an interrupted run starts again.

    Raises:
        BusyError: another process writes this output.
        UserError: it cannot be written, or was begun with other settings.
    """

    def __init__(self, output: Output, settings: dict[str, Any]) -> None:
        self.output, self.settings = output, settings
        self._first = f"{json.dumps({'settings': settings})}\n".encode()
        self._empty = False  # nothing was made yet, and the file is ours
        self.path: Path | None = None
        self.given_up: Path | None = None
        if output.through:
            self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        else:
            self.path = output.target.with_name(output.target.name + PART)
            self.given_up = output.target.with_name(output.target.name + GIVEN_UP)
            self._lost = Output(self.given_up, folders=True)
            output.make_folders()
            what = "what a synthesis left unfinished"
            self._file = hold(self.path, output.path, START, what, "another file")

    def lines(self) -> Iterator[tuple[dict[str, Any], int]]:
        """The rows of the file, each with the position behind it, up to a torn line.

        Raises:
            UserError: it was begun with other settings.
        """
        self._file.seek(0)
        place = 0
        for line in self._file:
            place += len(line)
            try:
                row = json.loads(line)
            except ValueError:
                return
            if not (isinstance(row, dict) and line.endswith(b"\n")):
                return
            if "settings" in row and row["settings"] != self.settings:
                raise UserError(f"{self.path}: was begun with other settings; remove it first")
            yield row, place

    def keep(self, place: int) -> None:
        """Append from a position on; what follows it is dropped."""
        self._file.truncate(place)
        self._file.seek(place)
        self._empty = place <= len(self._first)
        if not place:
            self._file.write(self._first)
            self._file.flush()

    def append(self, rows: Iterable[str]) -> None:
        """Add lines."""
        self._empty = False
        self._file.write("".join(f"{row}\n" for row in rows).encode())
        self._file.flush()

    def finish(self) -> None:
        """The tasks in the output, and beside it the seeds that were given up, with why."""
        if self.path is not None:
            self._lost.write_bytes(self._beginning(b'{"given up"'))
        self.output.write_bytes(self._beginning(b'{"category"'))
        if self.path is not None:
            self.path.unlink()

    def close(self) -> None:
        """Let others write. A file in which nothing was made yet is removed."""
        if self.path is not None and self._empty:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def _beginning(self, start: bytes) -> Iterator[bytes]:
        self._file.seek(0)
        return (line for line in self._file if line.startswith(start))
