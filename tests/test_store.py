"""A run folder's file: whole transactions, one trainer, going back, and tasks that stay as made."""

from __future__ import annotations

import sqlite3
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from doubles import make_seeds, make_task
from rods.curriculum.pool import Event
from rods.errors import UserError
from rods.files.tasks import read_tasks, write_tasks
from rods.group import Group
from rods.store.schema import TRAINER, TaskMeasurement
from rods.store.store import Store
from rods.task import Task, Turn

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    plain, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=8
)


@pytest.fixture
def store(tmp_path: Path):
    found = Store(tmp_path / "run")
    yield found
    found.close()


def fill(store: Store, step: int) -> None:
    """A row of that step in every table."""
    task = make_task(f"task {step}")
    with store.transaction():
        store.add_tasks([task], step)
        store.add_groups([Group(task.id, "base", (0.1, 1 / 3), 0, step)])
        store.add_events([Event(step, 0, task.id, "seeded")])
        store.epochs.add(step, step, [task.id])
        store.epochs.close(step, step, Fraction(step, 7))
        store.measures.add_metrics(step, {"step": step})
        store.add_episode(step, task.id, 0.5, "answered", [["user", "hello"]])
        store.measures.add_heldout([TaskMeasurement(step, "test", task.id, "base", 0.1, 0.2, 3)])


def content(store: Store) -> list[object]:
    found = [store.tasks(), store.groups(), store.events(), store.epochs.all(), store.epochs.ends()]
    heldout = [row for row in store.measures.heldout() if row.category == "overall"]
    return [*found, store.episodes(), heldout, store.measures.metrics()]


def test_going_back_forgets_later_steps_only(tmp_path: Path, store: Store) -> None:
    other = Store(tmp_path / "other")
    for step in range(5):
        fill(store, step)
    for step in range(3):
        fill(other, step)
    assert content(store) != content(other)
    assert store.rollback(2, queues=False)
    assert not store.rollback(2, queues=False)
    assert content(store) == content(other)
    assert all(len(part) == 3 for part in content(store))
    assert len(content(store)) == len(("tasks", *TRAINER))
    other.close()


def test_a_transaction_inside_another_is_a_part_of_it(tmp_path: Path, store: Store) -> None:
    reader = Store(tmp_path / "run", role="reader")
    with pytest.raises(KeyError), store.transaction():
        fill(store, 0)
        assert len(store.events()) == 1
        assert reader.events() == []
        raise KeyError
    assert store.events() == []
    with store.transaction():
        fill(store, 0)
    assert len(reader.events()) == 1
    reader.close()


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    fill(store, 0)
    before = content(store)
    with pytest.raises(ZeroDivisionError), store.transaction():
        task = make_task("late")
        store.add_tasks([task], 1)
        store.add_events([Event(1, 0, task.id, "seeded")])
        raise ZeroDivisionError
    assert content(store) == before
    fill(store, 1)
    assert len(store.events()) == 2


def test_a_reader_sees_whole_transactions_only(store: Store) -> None:
    reader = Store(store.folder, role="reader")
    with store.transaction():
        store.add_events([Event(0, 0, "x", "seeded")])
        assert reader.events() == []
    assert reader.events() == [Event(0, 0, "x", "seeded")]
    reader.close()


def test_one_trainer_at_a_time(store: Store) -> None:
    with pytest.raises(UserError, match="another trainer is at work here"):
        Store(store.folder)
    fill(store, 0)
    store.close()
    again = Store(store.folder)
    assert len(again.tasks()) == 1
    again.close()


def test_another_version_is_refused(store: Store) -> None:
    store.set_meta("version", 99)
    store.close()
    with pytest.raises(UserError, match=r"run\.sqlite: written by store version 99"):
        Store(store.folder)
    with pytest.raises(UserError, match="version 99"):
        Store(store.folder, role="reader")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.sqlite").write_bytes(b"not a database" * 99)
    with pytest.raises(UserError, match=str(tmp_path)):
        Store(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("replace(body, 'open z', 'open y')", "was altered"),
        ("substr(body, 1, 40)", "task "),
        ("replace(body, '\"turns\"', '\"turn\"')", "turn"),
    ],
)
def test_an_altered_task_is_detected(store: Store, change: str, message: str) -> None:
    fill(store, 0)
    db = sqlite3.connect(store.folder / "run.sqlite")
    with db:
        db.execute(f"UPDATE tasks SET body = {change}")
    db.close()
    with pytest.raises(UserError, match=message) as caught:
        store.tasks()
    assert make_task("task 0").id in str(caught.value)


def test_reading_a_missing_run_makes_nothing(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError, match="no run here"):
            Store(folder, role="reader")
    assert not list(tmp_path.iterdir())


def test_a_task_is_stored_once(store: Store) -> None:
    first = make_task("same", origin="one")
    store.add_tasks([first], 1)
    store.add_tasks([make_task("same", origin="two")], 2)
    assert store.tasks() == {first.id: first}


@settings(max_examples=40)
@given(st.dictionaries(texts, values, max_size=4), texts)
@example({"x": float("inf")}, "")
@example({}, "one\u2028two\x85three")
def test_a_task_survives_the_store_and_a_file(tmp_path_factory, start: dict, user: str) -> None:
    task = make_task("x").model_copy(update={"start": start, "turns": (Turn(user=user),)})
    task = Task(**{name: getattr(task, name) for name in Task.model_fields})
    folder = tmp_path_factory.mktemp("round")
    store = Store(folder)
    store.add_tasks([task], 0)
    stored = store.tasks()
    store.close()
    write_tasks(folder / "tasks.jsonl", [task, *make_seeds(1)])
    (loaded,) = stored.values()
    for again in (loaded, read_tasks(folder / "tasks.jsonl")[0]):
        assert again.id == task.id
        assert repr(again.start) == repr(task.start)  # the order of keys, and 1 beside 1.0
        assert again == task


def test_identity_is_content_in_order() -> None:
    task = make_task("x")
    turned = {"GorillaFileSystem": {"root": {"b": 1, "a": 2}}}
    straight = {"GorillaFileSystem": {"root": {"a": 2, "b": 1}}}
    ids = {task.model_copy(update={"start": s}).id for s in (turned, straight)}
    assert len(ids) == 2
    assert make_task("x", origin="made", parent="p", born=3, note="n").id == task.id
    assert task.model_copy(update={"turns": ()}).id != task.id, "a copy keeps its source's id"
