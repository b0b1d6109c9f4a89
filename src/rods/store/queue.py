"""The way from boundary tasks to candidates: jobs that wait, and verified variants that wait.

The trainer adds jobs and reads candidates; whoever synthesises does the rest. Nothing says of a
candidate that it was used: it waits as long as no task of the pool is it. So a trainer that goes
back to a checkpoint finds again what it had taken, and can take nothing twice. A variant of a task
that went back with it waits until that is a task again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from rods.boundary.selection import Seed
from rods.errors import UserError
from rods.store.database import DAMAGED
from rods.store.rows import Candidate, Job, Made
from rods.store.store import Store, columns
from rods.task import Task

TRIES = 3  # beginnings without an end after which a job counts as one that kills workers

_OPEN = """SELECT step, epoch, task_id, priority, taken FROM jobs
    WHERE outcome = '' AND epoch >= ? AND taken < ?
    ORDER BY epoch DESC, priority DESC, step, task_id"""
_WAITING = """FROM candidates WHERE epoch >= ? AND id NOT IN (SELECT id FROM tasks)
    AND parent IN (SELECT id FROM tasks)"""


class Queue:
    """Jobs and candidates of a run.

    Args:
        patience: epochs after that of its choice in which a seed or a candidate is still wanted.
    """

    def __init__(self, store: Store, patience: int) -> None:
        self.store, self.db, self.patience = store, store.db, patience

    def add_jobs(self, step: int, epoch: int, seeds: Iterable[Seed]) -> None:
        """A job a seed. One that is there already stays as it is."""
        rows = [(step, epoch, seed.task_id, seed.priority) for seed in seeds]
        query = "INSERT OR IGNORE INTO jobs (step, epoch, task_id, priority) VALUES (?, ?, ?, ?)"
        self.db.write_many(query, rows)

    def open_jobs(self, epoch: int) -> list[Job]:
        """Jobs that are still wanted in that epoch: the latest first, then the best."""
        return [Job(*row) for row in self.db.rows(_OPEN, epoch - self.patience, TRIES)]

    def take(self, job: Job) -> None:
        """Note that somebody begins with it."""
        query = "UPDATE jobs SET taken = taken + 1 WHERE task_id = ? AND step = ?"
        with self.store.transaction():
            self.db.write(query, job.task_id, job.step)

    def finish(self, job: Job, made: Made, step: int) -> None:
        """Keep what became of it, all together.

        Args:
            step: that the rows belong to.
        """
        with self.store.transaction():
            self.db.write_many(
                "INSERT OR IGNORE INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (step, job.epoch, *columns(t), job.priority, t.model_dump_json())
                    for t in made.variants
                ],
            )
            self.db.write_many(
                "INSERT INTO funnel VALUES (?, ?, ?, ?, ?)",
                [(step, job.epoch, job.task_id, name, n) for name, n in made.funnel.items() if n],
            )
            self.db.write_many(
                "INSERT INTO failures VALUES (?, ?, ?, ?)",
                [(step, job.epoch, job.task_id, json.dumps(f)) for f in made.failures],
            )
            self.db.write(
                "UPDATE jobs SET outcome = ?, seconds = ?, done = ? WHERE task_id = ? AND step = ?",
                made.outcome, made.seconds, step, job.task_id, job.step,
            )  # fmt: skip

    def waiting(self, epoch: int) -> list[Candidate]:
        """The candidates still wanted: the latest first, then the best."""
        query = f"SELECT id, parent, category {_WAITING} ORDER BY epoch DESC, priority DESC, id"
        return [Candidate(*row) for row in self.db.rows(query, epoch - self.patience)]

    def admit(self, task_ids: Iterable[str], step: int) -> None:
        """Make candidates tasks of the run."""
        self.db.write_many(
            """INSERT INTO tasks SELECT id, ?, category, origin, parent, born, body
               FROM candidates WHERE id = ?""",
            [(step, task_id) for task_id in task_ids],
        )

    def counts(self, epoch: int) -> tuple[int, int]:
        """Jobs that are open, and candidates that wait."""
        open_jobs = "SELECT COUNT(*) FROM jobs WHERE outcome = '' AND epoch >= ? AND taken < ?"
        (jobs,) = self.db.read(open_jobs, epoch - self.patience, TRIES)[0]
        (waiting,) = self.db.read(f"SELECT COUNT(*) {_WAITING}", epoch - self.patience)[0]
        return jobs, waiting

    def outcomes(self) -> dict[str, int]:
        """Jobs by outcome; "" for those that are open."""
        return dict(self.db.read("SELECT outcome, COUNT(*) FROM jobs GROUP BY outcome"))

    def seconds(self) -> float:
        """Time that synthesis took in all."""
        return float(self.db.read("SELECT SUM(seconds) FROM jobs")[0][0] or 0.0)

    def parent(self, job: Job) -> Task:
        """The task that is to be varied; where the trainer went back, it may wait again.

        Raises:
            UserError: it is damaged.
        """
        if self.store.has_task(job.task_id):
            return self.store.tasks([job.task_id])[job.task_id]
        return self.candidate(job.task_id)

    def candidates(self) -> Iterator[Task]:
        """All variants that were ever made, injected or not.

        Raises:
            UserError: one is damaged.
        """
        for task_id, body in self.db.rows("SELECT id, body FROM candidates ORDER BY rowid"):
            yield self.store.parse(task_id, body)

    def candidate(self, task_id: str) -> Task:
        """One of them.

        Raises:
            UserError: it is missing or damaged.
        """
        for (body,) in self.db.read("SELECT body FROM candidates WHERE id = ?", task_id):
            return self.store.parse(task_id, body)
        raise UserError(f"{self.db.path}: candidate {task_id} is not stored; {DAMAGED}")
