"""The tables of a digest."""

from __future__ import annotations

TABLES = """
CREATE TABLE cursors (name TEXT PRIMARY KEY, row INT NOT NULL, sign TEXT NOT NULL);
CREATE TABLE tasks (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE, category TEXT, state TEXT, origin TEXT, parent TEXT,
    family TEXT, born INT, seed INT NOT NULL DEFAULT 0, joined INT NOT NULL DEFAULT 0, first REAL,
    ending TEXT NOT NULL DEFAULT '', excerpt TEXT);
CREATE TABLE episodes (
    n INTEGER PRIMARY KEY, step INT, task TEXT, category TEXT, progress REAL, ending TEXT);
CREATE VIRTUAL TABLE task_words USING fts5 (
    said, tools, content='', tokenize="unicode61 tokenchars '_'", detail='column');
CREATE VIRTUAL TABLE episode_words USING fts5 (
    said, tools, content='', tokenize="unicode61 tokenchars '_'", detail='column');
CREATE TABLE tools (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE links (task INT, what TEXT, row INT, PRIMARY KEY (task, what, row)) WITHOUT ROWID;
CREATE TABLE counts (
    kind TEXT, place INT, name TEXT, n INT NOT NULL, total REAL NOT NULL,
    PRIMARY KEY (kind, place, name)) WITHOUT ROWID;
CREATE TABLE steps (step INTEGER PRIMARY KEY, epoch INT, signal REAL, active INT, seconds REAL);
CREATE TABLE parts (step INT, name TEXT, seconds REAL, PRIMARY KEY (step, name)) WITHOUT ROWID;
"""
"""`n` and `links.row` number rows of the run's file; `counts.place` is an epoch or a bin."""

INDEXES = """
CREATE INDEX task_category ON tasks (category, state);
CREATE INDEX task_state ON tasks (state);
CREATE INDEX task_parent ON tasks (parent);
CREATE INDEX task_family ON tasks (family, joined);
CREATE INDEX task_ending ON tasks (ending);
CREATE INDEX episode_task ON episodes (task, step);
CREATE INDEX episode_ending ON episodes (ending, category);
CREATE INDEX episode_category ON episodes (category);
"""
"""Made after the first reading of a store, which would take longer with them."""
