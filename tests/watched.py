"""A page on runs, asked as a browser asks it; and a run with texts that would harm a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.testclient import TestClient

from doubles import make_task
from rods.curriculum.pool import Event
from rods.group import Group
from rods.store.store import Store
from rods.task import Call, Turn
from rods.watch.run import Keeper
from rods.watch.server import application

HOSTILE = "<script>alert(1)</script>\x1b[31mred\x1b[0m \u202eback\x07"
LONG = "long " * 200_000  # characters: a line of one megabyte


def hostile_run(folder: Path) -> None:
    """Three seeds, a variant of one, a variant of that; episodes with hostile texts."""
    seeds = [make_task(f"list the folder {i}", "base") for i in range(3)]
    seeds[2] = seeds[2].model_copy(update={"category": "miss_func"})
    calls = (Call(name="send_message", arguments={"text": HOSTILE}),)
    one = make_task(f"write {HOSTILE}", "base").model_copy(
        update={"parent": seeds[0].id, "origin": "program"}
    )
    one = one.model_copy(update={"turns": (Turn(user=HOSTILE, ground_truth=calls), *one.turns)})
    two = make_task("two of them", "base").model_copy(update={"parent": one.id, "origin": "llm"})
    store = Store(folder)
    with store.transaction():
        store.set_meta("config", {"arm": "rods", "seed": 1, "preset": HOSTILE, "steps": 9})
        store.set_meta("notice", HOSTILE)
        store.add_tasks([*seeds, one, two], 0)
        store.add_events(Event(0, 0, task.id, "seeded") for task in seeds)
        store.add_events(Event(2, 1, task.id, "injected", task.parent) for task in (one, two))
        store.add_events([Event(3, 2, one.id, "retired", HOSTILE)])
        store.add_groups(Group(t.id, t.category, (0.0, 1.0), 0, 1, 2) for t in seeds)
        store.add_groups([Group(one.id, "base", (1.0, 1.0), 1, 2, 2)])
        said = [["tools", "send_message ls"], ["user", HOSTILE], ["assistant", "send_message(x)"]]
        judged = [*said, ["error", LONG], ["verdict", "failed: no tool was called"]]
        store.add_episode(
            2, one.id, 0.5, HOSTILE, [*judged, ["user", "and"], ["verdict", "passed"]]
        )
        store.add_episode(3, one.id, 1.0, "answered", [*said, ["tool", "earlier stores"]])
        store.add_episode(1, seeds[0].id, 0.0, "environment failure", [["error", "it is away"]])
        for step in (1, 2, 3):
            line = {"step": step, "epoch": 0, "signal": 0.5, "pool": {"active": 3}, "seconds": 2.0}
            store.measures.add_metrics(step, {**line, "part_seconds": {"rollouts": 1.5}})
    store.close()


@contextmanager
def watched(*folders: Path, token: str = "", follow: bool = False) -> Iterator[TestClient]:
    """A client of the pages on these runs.

    Args:
        follow: keep up with them in the background; else they are read once.
    """
    keeper = Keeper(folders)
    try:
        if follow:
            keeper.start()
        else:
            for run in keeper.runs.values():
                while run.look():
                    pass
        app = application(keeper, token)
        with TestClient(app, "http://127.0.0.1", follow_redirects=False) as client:
            yield client
    finally:
        keeper.close()
