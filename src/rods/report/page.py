"""The report of a run: one file that loads nothing else, made to be sent to somebody."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from markupsafe import Markup

from rods.digest.digest import Digest
from rods.digest.search import TaskRow, generated, task_row
from rods.digest.state import RunState
from rods.files.output import Output
from rods.report import tables
from rods.report.document import HERE, SCRIPTS, environment, fill
from rods.report.episode import EpisodeView
from rods.report.sections import sections
from rods.report.task import TaskView
from rods.store.account import count_of
from rods.store.news import News
from rods.store.store import Store

ARMS = {
    "rods": "verified variants are made of tasks at the boundary of its ability, and tasks retire",
    "static": "the pool does not change (comparison arm without synthesis)",
    "fresh": "each group gets a newly made task (comparison arm without a boundary)",
}
OTHER = "the pool of tasks changes as it learns"
MAX_TASKS = 300
MAX_BYTES = 1_200_000  # of the tasks; the whole report stays below two million


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write the report of the run in `folder`, and return its path.

    Args:
        out: the file to write; None for `report.html` in the folder.

    Raises:
        UserError: there is no run, it cannot be read, or the page cannot be written.
    """
    digest = Digest(folder)
    try:
        output = Output(out or folder / "report.html")
        output.differs(*(file for file in folder.iterdir() if file.suffix != ".html"))
        with digest.store.snapshot():
            digest.update()
            text = render(digest)
    finally:
        digest.close()
    output.write(text)
    return output.path


def render(digest: Digest) -> str:
    """The page as text; call it within a snapshot of the run's store."""
    state, db = RunState.read(digest), digest.connect()
    try:
        rows, total = generated(db, MAX_TASKS)
        tasks, shown = _tasks(digest, db, state, rows)
    finally:
        db.close()
    header, made = tables.realisation(state)
    return fill(
        HERE / "page.html.j2",
        (*SCRIPTS, HERE / "browse.js"),
        state=state,
        about=ARMS.get(state.arm, OTHER),
        tiles=tables.tiles(state),
        held_out=tables.held_out(state),
        held_out_note=tables.held_out_note(state),
        unmeasured=tables.unmeasured(state, "test"),
        errors=count_of(state.account.errors) if state.account.errors else "",
        realisation_header=header,
        realisation_rows=made,
        sections=sections(state),
        tasks=tasks,
        total=total,
        categories=sorted({row.category for row in shown}),
        states=sorted({row.state for row in shown}),
    )


def _tasks(
    digest: Digest, db: sqlite3.Connection, state: RunState, rows: list[TaskRow]
) -> tuple[list[Markup], list[TaskRow]]:
    """The first of the tasks, as many as fit, as HTML."""
    template = environment(HERE).get_template("task.html.j2")
    left, found, shown = MAX_BYTES, list[Markup](), list[TaskRow]()
    for row in rows:
        view = TaskView.read(digest.store, db, row, state.limits)
        parent = task_row(db, row.parent) if row.parent else None
        sides = [TaskView.read(digest.store, db, parent, state.limits)] if parent else []
        html = template.render(
            row=row,
            excerpt=row.excerpt,
            names=["parent", "variant"] if parent else ["task"],
            sides=[*sides, view],
            episode=_latest(digest.store, view),
        )
        left -= len(html.encode())
        if left < 0:
            break
        found.append(Markup(html))
        shown.append(row)
    return found, shown


def _latest(store: Store, view: TaskView) -> EpisodeView | None:
    """The latest example episode of a task."""
    if not view.episodes:
        return None
    row = view.episodes[0]
    return EpisodeView.of(row, News(store.db).transcript(row.number), view.task)
