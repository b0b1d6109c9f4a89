"""The queue between the trainer and synthesis: open jobs, and candidates that wait for admission.

The trainer adds jobs and injects candidates; synthesis does the jobs and adds candidates. A
candidate is a stored task that waits until an event says that it was injected. A rollback to a
checkpoint removes later events, so candidates that they injected wait again, and none is injected
twice. If a parent task waits again, its variants wait until it is injected again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rods.curriculum.selector import Parent
from rods.job_result import ErrorText, JobResult, Spent
from rods.store.schema import Candidate, Errors, Fates, Job, JobsDone
from rods.task import Task

if TYPE_CHECKING:
    from rods.store.store import Store

TRIES = 3  # starts without an end after which a job is not tried again: it may kill workers

_OPEN = """SELECT step, epoch, task_id, priority, taken FROM jobs
    WHERE outcome = '' AND epoch >= ? AND taken < ?
    ORDER BY epoch DESC, priority DESC, step, task_id"""
_WAITING = """FROM waiting JOIN tasks USING (id) WHERE epoch >= ?
    AND parent IN (SELECT id FROM tasks)
    AND NOT EXISTS (SELECT 1 FROM waiting AS other WHERE other.id = parent)"""
# These count whole indexes; a look-up for each candidate takes six times as long.
_FATES = """SELECT (SELECT COUNT(*) FROM candidates),
    (SELECT COUNT(*) FROM events WHERE kind = 'injected'),
    (SELECT COUNT(*) FROM waiting WHERE epoch >= ?)"""
_DONE = "outcome = ?, seconds = ?, done = ?, tokens_in = ?, tokens_out = ?, cost = ?"


class Queue:
    """Jobs and candidates of a run; `store.queue`.

    Attributes:
        patience: epochs for which a job or candidate remains usable after the epoch of its choice.
            The caller sets it from the run's settings before any call that has an `epoch`.
    """

    patience: int

    def __init__(self, store: Store) -> None:
        self.store, self.db = store, store.db

    def add_jobs(self, step: int, epoch: int, parents: Iterable[Parent]) -> None:
        """Add a job for each parent task; a job that exists is not changed."""
        rows = [(step, epoch, parent.task_id, parent.priority) for parent in parents]
        self.db.insert("INSERT OR IGNORE INTO jobs (step, epoch, task_id, priority)", rows)

    def open_jobs(self, epoch: int) -> list[Job]:
        """Jobs that are open and usable in that epoch: the latest first, then by priority."""
        return [Job(*row) for row in self.db.rows(_OPEN, epoch - self.patience, TRIES)]

    def next_job(self, epoch: int) -> Job | None:
        """The first of the open jobs."""
        rows = self.db.read(f"{_OPEN} LIMIT 1", epoch - self.patience, TRIES)
        return Job(*rows[0]) if rows else None

    def take(self, job: Job) -> None:
        """Count one more start of the job."""
        query = "UPDATE jobs SET taken = taken + 1 WHERE task_id = ? AND step = ?"
        with self.store.transaction():
            self.db.write(query, job.task_id, job.step)

    def finish(self, job: Job, made: JobResult, step: int) -> None:
        """Store the result of a job in one transaction; a variant that is stored is not changed.

        Args:
            step: training step that the rows belong to.
        """
        with self.store.transaction():
            new = [task for task in made.variants if not self.store.has_task(task.id)]
            self.store.add_tasks(new, step)
            self.db.insert(
                "INSERT INTO candidates (step, epoch, id, priority)",
                [(step, job.epoch, task.id, job.priority) for task in new],
            )
            self.db.insert(
                "INSERT INTO funnel",
                [(step, job.epoch, job.task_id, name, n) for name, n in made.funnel.items() if n],
            )
            self.db.insert(
                "INSERT INTO failures",
                [(step, job.epoch, job.task_id, json.dumps(f)) for f in made.failures],
            )
            if made.error is not None:
                known = self.db.read("SELECT 1 FROM errors LIMIT 1")
                row = (step, job.epoch, job.task_id, made.error.line)
                text = "" if known else made.error.text  # the first one shows what is broken
                self.db.write("INSERT INTO errors VALUES (?, ?, ?, ?, ?)", *row, text)
            self.db.write(
                f"UPDATE jobs SET {_DONE} WHERE task_id = ? AND step = ?",
                made.outcome, made.seconds, step, *made.spent, job.task_id, job.step,
            )  # fmt: skip

    def waiting(self, epoch: int) -> list[Candidate]:
        """Candidates that are usable in that epoch: the latest first, then by priority."""
        query = f"SELECT id, parent, category {_WAITING} ORDER BY epoch DESC, priority DESC, id"
        return [Candidate(*row) for row in self.db.rows(query, epoch - self.patience)]

    def counts(self, epoch: int) -> tuple[int, int]:
        """How many jobs are open and how many candidates wait, of those usable in that epoch."""
        open_jobs = "SELECT COUNT(*) FROM jobs WHERE outcome = '' AND epoch >= ? AND taken < ?"
        (jobs,) = self.db.read(open_jobs, epoch - self.patience, TRIES)[0]
        (waiting,) = self.db.read(f"SELECT COUNT(*) {_WAITING}", epoch - self.patience)[0]
        return jobs, waiting

    def outcomes(self) -> dict[str, int]:
        """Number of jobs by outcome; "" for open jobs."""
        return dict(self.db.read("SELECT outcome, COUNT(*) FROM jobs GROUP BY outcome"))

    def done(self) -> list[JobsDone]:
        """The jobs that ended, by the epoch of their choice and by outcome."""
        sums = (f"COALESCE(SUM({name}), 0)" for name in ("seconds", *Spent._fields))
        query = f"""SELECT epoch, outcome, COUNT(*), {", ".join(sums)} FROM jobs
            WHERE outcome != '' GROUP BY epoch, outcome ORDER BY epoch"""
        return [JobsDone(*row) for row in self.db.rows(query)]

    def seconds(self) -> float:
        """Time of all synthesis."""
        return float(self.db.read("SELECT SUM(seconds) FROM jobs")[0][0] or 0.0)

    def spent(self) -> Spent:
        """Model tokens and money of all synthesis."""
        sums = (f"COALESCE(SUM({name}), 0)" for name in Spent._fields)
        return Spent(*self.db.read(f"SELECT {', '.join(sums)} FROM jobs")[0])

    def errors(self) -> Errors | None:
        """The jobs that ended in an error; None if none did."""
        first = "SELECT step, task_id, error, traceback FROM errors ORDER BY rowid LIMIT 1"
        rows = self.db.read(first)
        if not rows:
            return None
        (jobs,) = self.db.read("SELECT COUNT(*) FROM errors")[0]
        step, task_id, *trace = rows[0]
        return Errors(jobs, step, task_id, ErrorText(*trace))

    def fates(self, epoch: int) -> Fates:
        """All candidates by their fate in that epoch; variants of a waiting candidate wait too."""
        made, injected, waiting = self.db.read(_FATES, epoch - self.patience)[0]
        return Fates(made, injected, waiting, made - injected - waiting)

    def parent(self, job: Job) -> Task:
        """The job's parent task; after a rollback it may be a candidate that waits again.

        Raises:
            UserError: it is missing or damaged.
        """
        return self.store.tasks([job.task_id])[job.task_id]

    def candidates(self) -> Iterator[Task]:
        """All variants that were made, injected or not.

        Raises:
            UserError: one is missing or damaged.
        """
        rows = self.db.read("SELECT id FROM candidates ORDER BY rowid")
        yield from self.store.tasks([task_id for (task_id,) in rows]).values()
