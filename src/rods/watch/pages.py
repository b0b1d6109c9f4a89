"""What the pages show: the parts of the report, and lists of tasks and episodes."""

from __future__ import annotations

from typing import Any

from rods.digest.search import (
    Filters,
    Page,
    ancestors,
    choices,
    episode_row,
    find_episodes,
    find_tasks,
    task_row,
)
from rods.report import tables
from rods.report.document import HERE, environment
from rods.report.episode import EpisodeView
from rods.report.overlay import overlay
from rods.report.sections import sections
from rods.report.task import TaskView
from rods.store.account import count_of
from rods.store.news import News
from rods.watch.places import Places
from rods.watch.run import WatchedRun

ON_PAGE = 50  # tasks or episodes
CHILDREN = 30  # variants of a task in its family tree
MOST_EPISODE = 200_000  # characters of an episode
MOST_MESSAGE = 8_000  # characters of a message
STATES = ("candidate", "trial", "active", "resting", "retired", "used once")


class MissingError(Exception):
    """There is no such page."""


def overview(run: WatchedRun) -> str:
    """A run's numbers and figures."""
    if run.state is None:
        return _fill("empty.html.j2", run, page="overview")
    state = run.state
    header, made = tables.realisation(state)
    return _fill(
        "overview.html.j2",
        run,
        page="overview",
        state=state,
        tiles=tables.tiles(state),
        held_out=tables.held_out(state),
        held_out_note=tables.held_out_note(state),
        unmeasured=tables.unmeasured(state, "test"),
        errors=count_of(state.account.errors) if state.account.errors else "",
        realisation_header=header,
        realisation_rows=made,
        sections=sections(state),
    )


def runs(found: dict[str, WatchedRun]) -> str:
    """Several runs laid over each other."""
    known = {name: run.state for name, run in found.items() if run.state is not None}
    return _fill(
        "runs.html.j2",
        None,
        runs=[(run, Places(name), known.get(name)) for name, run in found.items()],
        version=".".join(str(run.version) for run in found.values()),
        tiles={name: tables.tiles(state) for name, state in known.items()},
        sections=overlay(known),
    )


def tasks(run: WatchedRun, filters: Filters, before: int) -> str:
    """A list of tasks."""
    with run.open() as (_, db):
        found = find_tasks(db, filters, before, ON_PAGE)
        known = {
            "category": choices(db, "tasks", "category"),
            "ending": choices(db, "tasks", "ending"),
            "tool": choices(db, "tools", "name"),
        }
    return _list("tasks.html.j2", "tasks", run, filters, found, known, before)


def episodes(run: WatchedRun, filters: Filters, before: int) -> str:
    """A list of example episodes."""
    with run.open() as (_, db):
        found = find_episodes(db, filters, before, ON_PAGE)
        known = {
            "category": choices(db, "episodes", "category"),
            "ending": choices(db, "episodes", "ending"),
            "tool": choices(db, "tools", "name"),
        }
    return _list("episodes.html.j2", "episodes", run, filters, found, known, before)


def _list(
    template: str,
    what: str,
    run: WatchedRun,
    filters: Filters,
    found: Page,
    known: dict[str, list[str]],
    before: int,
) -> str:
    places = Places(run.name)
    return _fill(
        template,
        run,
        page=what,
        filters=filters,
        found=found,
        choices={**known, "state": STATES},
        first=places.found(what, filters) if before else "",
        next=places.found(what, filters, found.next) if found.next else "",
        limits=run.state.limits if run.state else None,
    )


def task(run: WatchedRun, task_id: str, beside: str) -> str:
    """A task beside its parent, or beside another one.

    Raises:
        MissingError: it is not known.
        UserError: it is damaged.
    """
    with run.open() as (store, db):
        row = task_row(db, task_id)
        other = task_row(db, beside or (row.parent if row else ""))
        if row is None or (beside and other is None):
            raise MissingError(f"no task {task_id if row is None else beside} is known")
        limits = run.digest.limits
        sides = [TaskView.read(store, db, each, limits) for each in (other, row) if each]
        above, variants = ancestors(db, row), find_tasks(db, Filters(parent=row.id), 0, CHILDREN)
    names = ["other" if beside else "parent", "task" if beside else "variant"]
    return _fill(
        "task.html.j2",
        run,
        page="tasks",
        row=row,
        names=names[-len(sides) :] if len(sides) > 1 else ["task"],
        sides=sides,
        above=above,
        variants=variants,
        episodes=sides[-1].episodes,
    )


def episode(run: WatchedRun, key: str, beside: str) -> str:
    """An episode, alone or beside another.

    Raises:
        MissingError: it is not known.
        UserError: its task is damaged.
    """
    shown, trees = [], []
    with run.open() as (store, db):
        for each in filter(None, (key, beside)):
            row = episode_row(db, each)
            if row is None:
                raise MissingError(f"no episode {each} is known")
            played = task_row(db, row.task)
            found = store.tasks([row.task])[row.task] if played else None
            transcript = News(store.db).transcript(row.number)
            view = EpisodeView.of(row, transcript, found, MOST_EPISODE, MOST_MESSAGE)
            shown.append((row, view))
            trees.append((played, ancestors(db, played) if played else []))
        others = find_episodes(db, Filters(task=shown[0][0].task), 0, ON_PAGE).rows
    return _fill("episode.html.j2", run, page="episodes", shown=shown, trees=trees, others=others)


def message(run: WatchedRun, key: str, number: int) -> str:
    """The whole text of a message of an episode.

    Raises:
        MissingError: it is not known.
    """
    with run.open() as (store, db):
        row = episode_row(db, key)
        transcript = News(store.db).transcript(row.number) if row else []
    if not 0 <= number < len(transcript):
        raise MissingError(f"no message {number} of an episode {key} is known")
    return transcript[number][1]


def missing(run: WatchedRun | None, why: str) -> str:
    """The page for an address that leads nowhere, or a run that cannot be read."""
    return _fill("missing.html.j2", run, page="", why=why)


def _fill(template: str, run: WatchedRun | None, **values: Any) -> str:
    values = {"version": str(run.version) if run else "", "page": "", **values}
    found = environment(HERE.parent / "watch").get_template(template)
    places = Places(run.name) if run else None
    return found.render(run=run, places=places, **values)
