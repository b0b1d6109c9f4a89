"""Tables of a run's file with their version, and the rows of some of them.

Rows have the training step that they belong to, counted from 1. What happens at an epoch's end
belongs to the following step. A checkpoint of the policy at step s and the rows up to s are one
consistent state, so a run is restored by removing later rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from rods.job_result import ErrorText

VERSION = 10  # 1 to 9 are older than release 0.1.0 and are not read
# The index `joined` includes the kind; otherwise SQLite reads the event to check it.
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, step INT, category TEXT, origin TEXT, parent TEXT, born INT,
    body TEXT NOT NULL);
CREATE TABLE groups (
    step INT, epoch INT, task_id TEXT, category TEXT, rewards TEXT, size INT NOT NULL,
    outcomes TEXT, passes TEXT);
CREATE TABLE events (step INT, epoch INT, task_id TEXT, kind TEXT, reason TEXT);
CREATE INDEX joined ON events (task_id, kind) WHERE kind = 'injected';
CREATE TABLE epochs (
    epoch INT PRIMARY KEY, step INT, wanted INT NOT NULL, task_ids TEXT,
    stage INT NOT NULL DEFAULT 0);
CREATE TABLE ends (epoch INT PRIMARY KEY, step INT, carried TEXT);
CREATE TABLE funnel (step INT, epoch INT, parent TEXT, outcome TEXT, count INT);
CREATE TABLE episodes (
    step INT, task_id TEXT, progress REAL, ending TEXT, transcript TEXT);
CREATE TABLE heldout (
    step INT, side TEXT, task_id TEXT, category TEXT, progress REAL, complete REAL, episodes INT);
CREATE TABLE metrics (step INT PRIMARY KEY, line TEXT NOT NULL);
CREATE TABLE jobs (
    step INT, epoch INT, task_id TEXT, priority REAL, taken INT NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL DEFAULT '', seconds REAL, done INT, tokens_in INT, tokens_out INT,
    cost REAL, PRIMARY KEY (task_id, step));
CREATE INDEX open_jobs ON jobs (outcome, epoch);
CREATE TABLE candidates (step INT, epoch INT, id TEXT PRIMARY KEY, priority REAL);
CREATE INDEX latest ON candidates (epoch);
CREATE VIEW waiting AS SELECT * FROM candidates WHERE NOT EXISTS (
    SELECT 1 FROM events WHERE kind = 'injected' AND task_id = candidates.id);
CREATE TABLE failures (step INT, epoch INT, parent TEXT, history TEXT);
CREATE TABLE errors (step INT, epoch INT, task_id TEXT, error TEXT, traceback TEXT);
"""
TRAINER = ("groups", "events", "epochs", "ends", "episodes", "heldout", "metrics")
WORKER = ("jobs", "candidates", "funnel", "failures", "errors")
"""Tables of the trainer, and those of synthesis; both add tasks."""


def create(db: sqlite3.Connection) -> None:
    """Create the tables in an empty file; the version is written last."""
    mark = f"INSERT INTO meta VALUES ('version', '{VERSION}');"
    try:
        db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {mark} COMMIT;")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


class TaskMeasurement(NamedTuple):
    """A measurement on one held-out task after `step` updates.

    `side` is "validation" or "test"; `progress` and `complete` are means over `episodes`.
    """

    step: int
    side: str
    task_id: str
    category: str
    progress: float
    complete: float
    episodes: int


class Evaluation(NamedTuple):
    """The measurements on one side after `step` updates, in one category or "overall".

    `progress` and `complete` are means over `episodes`.
    """

    step: int
    side: str
    category: str
    progress: float
    complete: float
    episodes: int


class Epoch(NamedTuple):
    """An epoch that was drawn.

    Attributes:
        first_step: training step of its first tasks.
        closed: the step after its end, or None before its end.
        stage: index of its stage of the curriculum.
        task_ids: its fixed order.
    """

    number: int
    first_step: int
    closed: int | None
    stage: int
    task_ids: list[str]

    def ids(self, step: int, size: int) -> Sequence[str]:
        """The `size` tasks of a training step; [] if the step is not of this epoch."""
        start = (step - self.first_step) * size
        return [] if self.closed is not None else self.task_ids[start : start + size]


class EndRow(NamedTuple):
    """The end of an epoch.

    Attributes:
        step: training step that its changes belong to.
        carried: see `Admission.carried`.
    """

    epoch: int
    step: int
    carried: Fraction


class Job(NamedTuple):
    """One parent task to be varied.

    Attributes:
        step: training step at which it was chosen.
        taken: how often the job was started.
    """

    step: int
    epoch: int
    task_id: str
    priority: float
    taken: int = 0


class JobsDone(NamedTuple):
    """The jobs of an epoch that ended with an outcome, and what they took."""

    epoch: int
    outcome: str
    jobs: int
    seconds: float
    tokens_in: int
    tokens_out: int
    cost: float


class Candidate(NamedTuple):
    """A verified variant that waits to be injected."""

    task_id: str
    parent: str
    category: str


class Errors(NamedTuple):
    """The jobs that ended in an error, and the first one.

    Attributes:
        jobs: how many.
        step: training step that the first one's row belongs to.
        task_id: the first one's parent task.
    """

    jobs: int
    step: int
    task_id: str
    first: ErrorText


class Fates(NamedTuple):
    """Candidates by their fate.

    Attributes:
        waiting: those that may still be injected.
        expired: those that are too old to be injected.
    """

    made: int
    injected: int
    waiting: int
    expired: int
