"""Tables of a run's file, their version, and the way from older versions.

Rows of the trainer carry the training step that they belong to, counted from 1; what happens at an
epoch's end belongs to the step that follows. A checkpoint of the policy at step s and the rows up
to s are one consistent state, so recovery is to forget the later ones.
"""

from __future__ import annotations

import sqlite3

VERSION = 6
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, step INT, category TEXT, origin TEXT, parent TEXT, born INT,
    body TEXT NOT NULL);
CREATE TABLE groups (
    step INT, epoch INT, task_id TEXT, category TEXT, rewards TEXT, size INT NOT NULL DEFAULT 0,
    outcomes TEXT);
CREATE TABLE events (step INT, epoch INT, task_id TEXT, kind TEXT, reason TEXT);
CREATE TABLE members (place INTEGER PRIMARY KEY, task_id TEXT, generated INT);
CREATE TABLE pool (
    place INTEGER PRIMARY KEY, state TEXT, since INT, chosen INT, rests INT, reason TEXT);
CREATE TABLE epochs (
    epoch INT PRIMARY KEY, step INT, wanted INT NOT NULL DEFAULT 0, task_ids TEXT);
CREATE TABLE ends (epoch INT PRIMARY KEY, step INT, carried TEXT);
CREATE TABLE funnel (step INT, epoch INT, parent TEXT, outcome TEXT, count INT);
CREATE TABLE episodes (
    step INT, task_id TEXT, progress REAL, ending TEXT, transcript TEXT);
CREATE TABLE evaluations (
    step INT, side TEXT, category TEXT, progress REAL, complete REAL, episodes INT);
CREATE TABLE metrics (step INT PRIMARY KEY, line TEXT NOT NULL);
CREATE TABLE jobs (
    step INT, epoch INT, task_id TEXT, priority REAL, taken INT NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL DEFAULT '', seconds REAL, done INT, tokens_in INT, tokens_out INT,
    cost REAL, PRIMARY KEY (task_id, step));
CREATE INDEX open_jobs ON jobs (outcome, epoch);
CREATE TABLE candidates (
    step INT, epoch INT, id TEXT PRIMARY KEY, priority REAL, admitted INT);
CREATE INDEX waiting ON candidates (epoch) WHERE admitted IS NULL;
CREATE TABLE failures (step INT, epoch INT, parent TEXT, history TEXT);
CREATE TABLE errors (step INT, epoch INT, task_id TEXT, error TEXT, traceback TEXT);
"""
TRAINER = ("groups", "events", "epochs", "ends", "episodes", "evaluations", "metrics")
WORKER = ("jobs", "candidates", "funnel", "failures", "errors")
"""Tables of the trainer, and those of whoever synthesises; both add tasks."""

# From a version to the next. Version 1 marked an epoch's end by an event, pruned after it had
# injected, and had neither queues nor a stored state of the pool: that is written anew when the run
# is taken up. Version 2 marked an epoch's end in its row, so that its order was written once more.
# Version 3 kept the pool by task id. Tasks that arrive together change together; by the order of
# their arrival they share pages, so that less is written. Version 4 kept candidates whole and wrote
# them once more as tasks when they joined, and what never changes beside what does in the pool.
# Version 5 carried no fraction over from one epoch's end to the next. The number of wanted
# candidates is stored before an epoch's order, so that a worker need not read the order. An error
# was the outcome of its job; that of a model was "ModelError: ", the role, the cause and more.
MIGRATIONS = {
    1: """
ALTER TABLE tasks RENAME TO tasks_1;
ALTER TABLE epochs RENAME TO epochs_1;
ALTER TABLE events RENAME TO events_1;
ALTER TABLE groups ADD COLUMN size INT NOT NULL DEFAULT 0;
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, step INT, category TEXT, origin TEXT, parent TEXT, born INT,
    body TEXT NOT NULL);
INSERT INTO tasks SELECT id, step, json_extract(body, '$.category'),
    json_extract(body, '$.origin'), json_extract(body, '$.parent'), json_extract(body, '$.born'),
    body FROM tasks_1 ORDER BY rowid;
CREATE TABLE pool (
    task_id TEXT PRIMARY KEY, category TEXT, generated INT, state TEXT, since INT, chosen INT,
    rests INT, reason TEXT) WITHOUT ROWID;
CREATE TABLE epochs (epoch INT PRIMARY KEY, step INT, closed INT, task_ids TEXT);
INSERT INTO epochs SELECT epoch, step,
    (SELECT step FROM events_1 WHERE kind = 'closed' AND events_1.epoch = epochs_1.epoch + 1),
    task_ids FROM epochs_1;
CREATE TABLE events (step INT, epoch INT, task_id TEXT, kind TEXT, reason TEXT);
INSERT INTO events SELECT * FROM events_1 WHERE kind != 'closed'
    ORDER BY step, kind = 'chosen', kind = 'injected', rowid;
DROP TABLE tasks_1;
DROP TABLE epochs_1;
DROP TABLE events_1;
CREATE TABLE metrics (step INT PRIMARY KEY, line TEXT NOT NULL);
CREATE TABLE jobs (
    step INT, epoch INT, task_id TEXT, priority REAL, taken INT NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL DEFAULT '', seconds REAL, done INT, PRIMARY KEY (task_id, step));
CREATE INDEX open_jobs ON jobs (outcome, epoch);
CREATE TABLE candidates (
    step INT, epoch INT, id TEXT PRIMARY KEY, category TEXT, origin TEXT, parent TEXT, born INT,
    priority REAL, body TEXT NOT NULL);
CREATE INDEX newest_candidates ON candidates (epoch);
CREATE TABLE failures (step INT, epoch INT, parent TEXT, history TEXT);
""",
    2: """
CREATE TABLE ends (epoch INT PRIMARY KEY, step INT);
INSERT INTO ends SELECT epoch, closed FROM epochs WHERE closed IS NOT NULL;
ALTER TABLE epochs DROP COLUMN closed;
""",
    3: """
DROP TABLE pool;
CREATE TABLE pool (
    place INTEGER PRIMARY KEY, task_id TEXT, generated INT, state TEXT, since INT, chosen INT,
    rests INT, reason TEXT);
""",
    4: """
DROP INDEX newest_candidates;
ALTER TABLE candidates RENAME TO candidates_4;
CREATE TABLE candidates (
    step INT, epoch INT, id TEXT PRIMARY KEY, priority REAL, admitted INT);
INSERT INTO candidates SELECT c.step, epoch, c.id, priority, tasks.step
    FROM candidates_4 AS c LEFT JOIN tasks ON tasks.id = c.id
    WHERE tasks.step IS NULL OR tasks.step > 0 ORDER BY c.rowid;
CREATE INDEX waiting ON candidates (epoch) WHERE admitted IS NULL;
INSERT INTO tasks SELECT id, step, category, origin, parent, born, body FROM candidates_4
    WHERE id NOT IN (SELECT id FROM tasks) ORDER BY rowid;
UPDATE tasks SET step = candidates.step FROM candidates WHERE candidates.id = tasks.id;
DROP TABLE candidates_4;
CREATE TABLE members (place INTEGER PRIMARY KEY, task_id TEXT, generated INT);
INSERT INTO members SELECT place, task_id, generated FROM pool;
ALTER TABLE pool RENAME TO pool_4;
CREATE TABLE pool (
    place INTEGER PRIMARY KEY, state TEXT, since INT, chosen INT, rests INT, reason TEXT);
INSERT INTO pool SELECT place, state, since, chosen, rests, reason FROM pool_4;
DROP TABLE pool_4;
""",
    5: """
ALTER TABLE groups ADD COLUMN outcomes TEXT;
ALTER TABLE ends ADD COLUMN carried TEXT;
ALTER TABLE epochs RENAME TO epochs_5;
CREATE TABLE epochs (
    epoch INT PRIMARY KEY, step INT, wanted INT NOT NULL DEFAULT 0, task_ids TEXT);
INSERT INTO epochs (epoch, step, task_ids) SELECT epoch, step, task_ids FROM epochs_5;
DROP TABLE epochs_5;
ALTER TABLE jobs ADD COLUMN tokens_in INT;
ALTER TABLE jobs ADD COLUMN tokens_out INT;
ALTER TABLE jobs ADD COLUMN cost REAL;
CREATE TABLE errors (step INT, epoch INT, task_id TEXT, error TEXT, traceback TEXT);
UPDATE jobs SET outcome = 'no answer: ' || (
    WITH answers AS (SELECT substr(outcome, instr(substr(outcome, 13), ': ') + 14) || ': ' AS cause)
    SELECT substr(cause, 1, instr(cause, ': ') - 1) FROM answers)
    WHERE outcome LIKE 'ModelError: %: %';
INSERT INTO errors SELECT done, epoch, task_id, outcome, '' FROM jobs
    WHERE outcome NOT IN ('', 'made', 'given up') AND outcome NOT LIKE 'no answer: %'
    ORDER BY done, rowid;
UPDATE jobs SET outcome = 'error'
    WHERE outcome NOT IN ('', 'made', 'given up') AND outcome NOT LIKE 'no answer: %';
""",
}


def create(db: sqlite3.Connection) -> None:
    """Make the tables in an empty file, the version last."""
    _all_or_nothing(db, SCHEMA, VERSION)


def migrate(db: sqlite3.Connection, found: int) -> None:
    """Bring a file of an older version up to this one, step by step."""
    for version in range(found, VERSION):
        _all_or_nothing(db, MIGRATIONS[version], version + 1)


def _all_or_nothing(db: sqlite3.Connection, script: str, version: int) -> None:
    mark = f"REPLACE INTO meta VALUES ('version', '{version}');"
    try:
        db.executescript(f"BEGIN IMMEDIATE; {script} {mark} COMMIT;")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
