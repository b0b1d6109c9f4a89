"""A task as pages show it: its turns, its life in the pool, and its groups."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from rods.curriculum.boundary import Thresholds
from rods.digest.search import EpisodeRow, Filters, TaskRow, find_episodes, linked
from rods.group import Group
from rods.html import cut
from rods.report.episode import MAX_TEXT
from rods.store.news import News
from rods.store.store import Store
from rods.task import Task

MOST_ROWS = 200  # events, groups and episodes of a task


class TurnView(NamedTuple):
    user: str
    calls: list[str]
    restores: list[str]


class GroupView(NamedTuple):
    """A group; without mean and zone if all its rollouts were lost. Outcomes have the order of the
    rewards, and are "" if they equal the rewards."""

    text: str
    zone: str
    rewards: str
    outcomes: str


class TaskView(NamedTuple):
    """A task with what happened to it."""

    row: TaskRow
    label: str
    facts: list[str]
    classes: list[str]
    withheld: list[str]
    turns: list[TurnView]
    life: list[str]
    groups: list[GroupView]
    episodes: list[EpisodeRow]
    task: Task

    @staticmethod
    def read(store: Store, db: sqlite3.Connection, row: TaskRow, limits: Thresholds) -> TaskView:
        """Read a task.

        Args:
            db: of the run's digest.

        Raises:
            UserError: it is damaged or missing.
        """
        task, news = store.tasks([row.id])[row.id], News(store.db)
        facts = [task.category, row.state, f"made by {task.origin}"]
        facts += [] if row.seed else [f"for epoch {task.born}"]
        facts += [task.id] * bool(task.source) + [task.note] * bool(task.note)
        events = news.rows("events", linked(db, row.number, "events", MOST_ROWS))
        groups = news.rows("groups", linked(db, row.number, "groups", MOST_ROWS))
        return TaskView(
            row=row,
            label=task.label,
            facts=facts,
            classes=list(task.start or task.classes),
            withheld=list(task.withheld),
            turns=[
                TurnView(
                    cut(turn.user, MAX_TEXT),
                    [cut(str(call), MAX_TEXT) for call in turn.ground_truth],
                    list(turn.restores),
                )
                for turn in task.turns
            ],
            life=[_event(*event) for _, *event in events],
            groups=[_group(store, limits, *group) for _, *group in groups],
            episodes=find_episodes(db, Filters(task=row.id), 0, MOST_ROWS).rows,
            task=task,
        )


def _event(step: int, epoch: int, task_id: str, kind: str, reason: str) -> str:
    why = f"{', varied from ' if kind == 'injected' else ': '}{reason}" if reason else ""
    return f"epoch {epoch}, step {step}: {kind}{why}"


def _group(
    store: Store,
    limits: Thresholds,
    step: int,
    epoch: int,
    task_id: str,
    category: str,
    rewards: str,
    size: int,
    outcomes: str | None,
) -> GroupView:
    given = tuple(store.db.load(rewards))
    verified = None if outcomes is None else tuple(store.db.load(outcomes))
    group = Group(task_id, category, given, epoch, step, size, verified)
    pairs = sorted(zip(group.rewards, group.verified, strict=True))
    zone = str(limits.zone(group.mean)) if pairs else ""
    mean = f"{group.mean:.2f}" if pairs else "-"
    text = f"epoch {epoch}, step {step}: mean {mean}, {zone or '-'}, {group.signal}"
    one, two = ("  ".join(f"{pair[i]:.2f}" for pair in pairs) for i in (0, 1))
    return GroupView(text, zone, one, two if group.verified != group.rewards else "")
