"""Finds tasks and episodes of a digest: filtered, the newest first, a page at a time."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

from rods.digest.words import query

MOST_COUNTED = 10_000  # matches; beyond that only "more than" is known
LEVELS = 100  # of a family tree above a task


class Filters(NamedTuple):
    """What tasks or episodes must have; "" for anything.

    Attributes:
        state: of the task in the pool.
        parent: id of the parent task.
        family: id of the seed task that it descends from.
        ending: of the episode; of a task, that of its latest episode.
        tool: named by the ground truth of a task, or by the agent in an episode.
        text: words, each the beginning of a word in the texts; or an id.
    """

    category: str = ""
    state: str = ""
    parent: str = ""
    family: str = ""
    ending: str = ""
    task: str = ""
    tool: str = ""
    text: str = ""


class TaskRow(NamedTuple):
    """A task in a list.

    Attributes:
        number: of its row; the order of arrival.
        first: mean outcome of its first complete group.
        ending: of its latest episode, or "".
        excerpt: how its first message begins.
    """

    number: int
    id: str
    category: str
    state: str
    origin: str
    parent: str
    family: str
    born: int
    seed: bool
    joined: bool
    first: float | None
    ending: str
    excerpt: str


class EpisodeRow(NamedTuple):
    """An example episode in a list."""

    number: int
    step: int
    task: str
    category: str
    progress: float
    ending: str

    @property
    def key(self) -> str:
        """What names it in a link: it remains where the run goes back and comes again."""
        return f"{self.step}-{self.task}"


class Page(NamedTuple):
    """A part of what was found.

    Attributes:
        total: how many there are, up to `MOST_COUNTED`.
        exact: whether there are no more than `total`.
        next: the number that the next page begins before; 0 at the end.
    """

    rows: list[Any]
    total: int
    exact: bool
    next: int


class _Listed(NamedTuple):
    """What a table's rows are listed by.

    Attributes:
        shown: columns of a row.
        words: its index of words.
        columns: those that a filter compares; the names of `Filters`.
    """

    table: str
    shown: str
    words: str
    columns: tuple[str, ...]
    row: type[TaskRow] | type[EpisodeRow]

    @property
    def select(self) -> str:
        return f"SELECT {self.shown} FROM {self.table} AS t"


_TASKS = _Listed(
    "tasks", "t.*", "task_words", ("category", "state", "parent", "family", "ending"), TaskRow
)
_EPISODES = _Listed(
    "episodes",
    "t.n, t.step, t.task, t.category, t.progress, t.ending",
    "episode_words",
    ("category", "ending", "task"),
    EpisodeRow,
)
_OF_TASK = ("state", "parent", "family")  # filters of episodes that their task must meet


def find_tasks(db: sqlite3.Connection, filters: Filters, before: int, most: int) -> Page:
    """Tasks, the newest first.

    Args:
        before: only those with smaller numbers; 0 for all.
    """
    return _find(db, _TASKS, filters, before, most)


def find_episodes(db: sqlite3.Connection, filters: Filters, before: int, most: int) -> Page:
    """Example episodes, the newest first; see `find_tasks`."""
    of_task = any(getattr(filters, name) for name in _OF_TASK)
    return _find(db, _EPISODES, filters, before, most, of_task)


def _find(
    db: sqlite3.Connection,
    listed: _Listed,
    filters: Filters,
    before: int,
    most: int,
    of_task: bool = False,
) -> Page:
    wheres, values, source = list[str](), list[Any](), f"{listed.table} AS t"
    if wanted := query(filters.text, filters.tool):
        # The words first: a search for them in each row of an index took a minute.
        source = f"{listed.words} AS w CROSS JOIN {source} ON t.n = w.rowid"
        wheres.append(f"{listed.words} MATCH ?")
        values.append(wanted)
    elif filters.text:  # without a word in it
        wheres.append("0")
    compared = dict.fromkeys(listed.columns, "t")
    if of_task:
        source += " JOIN tasks AS o ON o.id = t.task"
        compared |= dict.fromkeys(_OF_TASK, "o")
    for name, table in compared.items():
        if value := getattr(filters, name):
            wheres.append(f"{table}.{name} = ?")
            values.append(value)
    body = f"FROM {source}{' WHERE ' + ' AND '.join(wheres) if wheres else ''}"
    count = f"SELECT COUNT(*) FROM (SELECT 1 {body} LIMIT ?)"
    total = db.execute(count, (*values, MOST_COUNTED + 1)).fetchone()[0]
    order = "w.rowid" if wanted else "t.n"
    if before:
        body += f" {'AND' if wheres else 'WHERE'} {order} < ?"
        values.append(before)
    page = f"SELECT {listed.shown} {body} ORDER BY {order} DESC LIMIT ?"
    rows = [listed.row(*row) for row in db.execute(page, (*values, most + 1))]
    more = rows[most - 1].number if len(rows) > most else 0
    exact = total <= MOST_COUNTED
    return Page(rows[:most], min(total, MOST_COUNTED), exact, more)


def task_row(db: sqlite3.Connection, task_id: str) -> TaskRow | None:
    """The task with an id, if it is known."""
    found = db.execute(f"{_TASKS.select} WHERE t.id = ?", (task_id,)).fetchone()
    return TaskRow(*found) if found else None


def episode_row(db: sqlite3.Connection, key: str) -> EpisodeRow | None:
    """The episode with a key (`EpisodeRow.key`), if it is known."""
    step, _, task = key.partition("-")
    if not step.isdecimal():
        return None
    query = f"{_EPISODES.select} WHERE t.task = ? AND t.step = ? ORDER BY t.n LIMIT 1"
    found = db.execute(query, (task, int(step[:15]))).fetchone()
    return EpisodeRow(*found) if found else None


def ancestors(db: sqlite3.Connection, row: TaskRow) -> list[TaskRow]:
    """The task's parent tasks, from the seed task down; at most `LEVELS`."""
    found, seen = list[TaskRow](), {row.id}
    while row.parent and row.parent not in seen and len(found) < LEVELS:
        above = task_row(db, row.parent)
        if above is None:
            break
        seen.add(above.id)
        found.append(above)
        row = above
    return found[::-1]


def generated(db: sqlite3.Connection, most: int) -> tuple[list[TaskRow], int]:
    """Tasks that the run made and used, and how many there are; those with an example episode come
    first, then the newest."""
    made = "WHERE NOT t.seed AND (t.joined OR t.state = 'used once')"
    query = f"{_TASKS.select} {made} ORDER BY t.ending = '', t.n DESC LIMIT ?"
    rows = [TaskRow(*row) for row in db.execute(query, (most,))]
    return rows, db.execute(f"SELECT COUNT(*) FROM tasks AS t {made}").fetchone()[0]


def linked(db: sqlite3.Connection, number: int, what: str, most: int) -> list[int]:
    """Numbers of the latest rows of a table ("events", "groups") about a task, in order."""
    query = "SELECT row FROM links WHERE task = ? AND what = ? ORDER BY row DESC LIMIT ?"
    return [row for (row,) in db.execute(query, (number, what, most))][::-1]


def choices(db: sqlite3.Connection, table: str, column: str) -> list[str]:
    """The values of a column, which a person may choose from."""
    query = f"""WITH RECURSIVE found (value) AS (SELECT MIN({column}) FROM {table} UNION ALL
        SELECT (SELECT MIN({column}) FROM {table} WHERE {column} > value) FROM found
        WHERE value IS NOT NULL) SELECT value FROM found WHERE value IS NOT NULL LIMIT 500"""
    return [str(value) for (value,) in db.execute(query) if value != ""]
