"""The run's file: whole transactions, other versions, other processes, files that are no use."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from doubles import SEEDS, begin, go, make_config, make_task
from rods.curriculum.pool import Event
from rods.errors import UserError
from rods.store import database, schema
from rods.store.database import FILE, ROWS
from rods.store.schema import VERSION
from rods.store.store import Store

LOCK = """
import sys, time
from pathlib import Path
from rods.store.store import Store
store = Store(Path(sys.argv[1]), role="worker")
with store.transaction():
    print("locked", flush=True)
    time.sleep(99)
"""


def digest(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}


def test_what_the_docs_ask_a_run(tmp_path: Path) -> None:
    loop = begin(make_config(2), tmp_path)
    go(loop, 12)
    text = (Path(__file__).parents[1] / "docs/store.md").read_text("utf-8")
    queries = text.split("```sql\n")[1].split("```")[0].splitlines()
    answered = [query for query in queries if loop.store.db.read(query)]
    assert len(answered) >= 4, "what waits may be nothing"
    loop.store.close()


@pytest.mark.parametrize("at", range(0, 16, 3))
def test_a_file_is_created_whole_or_not_at_all(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = schema.SCHEMA.split(";")
    parts.insert(at, "\nINSERT INTO nowhere VALUES (1)")
    with monkeypatch.context() as patched:
        patched.setattr(schema, "SCHEMA", ";".join(parts))
        with pytest.raises(UserError, match="nowhere"):
            Store(tmp_path)
    for role in ("reader", "worker"):
        with pytest.raises(UserError, match="no run here yet"):
            Store(tmp_path, role=role)
    store = begin(make_config(2), tmp_path).store
    assert len(store.tasks()) == len(SEEDS)
    store.close()


@pytest.mark.parametrize("role", ["trainer", "worker", "reader"])
@pytest.mark.parametrize(
    ("version", "way"),
    [(VERSION + 1, "upgrade rods"), (VERSION - 1, "use another folder"), (1, "use another folder")],
)
def test_a_file_of_another_version_is_left_alone(
    tmp_path: Path, role: str, version: int, way: str
) -> None:
    store = Store(tmp_path)
    store.set_meta("version", version)
    store.close()
    before = (tmp_path / FILE).read_bytes()
    message = rf"run\.sqlite: written by store version {version}, this is {VERSION}; {way}$"
    with pytest.raises(UserError, match=message):
        Store(tmp_path, role=role)
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize("role", ["trainer", "worker", "reader"])
def test_other_files_are_left_alone(tmp_path: Path, role: str) -> None:
    foreign = sqlite3.connect(tmp_path / FILE)
    foreign.execute("CREATE TABLE other (x)")
    foreign.commit()
    foreign.close()
    for content in (None, b"no database at all " * 999):
        if content:
            (tmp_path / FILE).write_bytes(content)
        before = (tmp_path / FILE).read_bytes()
        with pytest.raises(UserError, match=r"run\.sqlite: .*; it is damaged: restore it"):
            Store(tmp_path, role=role)
        assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize("role", ["worker", "reader"])
def test_only_a_trainer_begins_a_run(tmp_path: Path, role: str) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError, match="no run here"):
            Store(folder, role=role)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match="run: cannot be used as a run folder"):
        Store(tmp_path / "run")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A trainer's, with little patience."""
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    found = Store(tmp_path)
    yield found
    found.close()


def test_what_returns_is_on_the_disk(tmp_path: Path) -> None:
    for role, durable, level in (("trainer", True, 2), ("worker", True, 2), ("trainer", False, 0)):
        store = Store(tmp_path, role=role, durable=durable)
        assert store.db.read("PRAGMA journal_mode") == [("wal",)]
        assert store.db.read("PRAGMA synchronous") == [(level,)]
        store.close()


def test_a_log_is_folded_by_the_transaction_that_follows(store: Store, tmp_path: Path) -> None:
    """And what only stands in the log meanwhile is as durable."""

    def in_the_file(name: str) -> int:
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE).write_bytes(store.db.path.read_bytes())
        copy = Store(tmp_path / name, role="reader")
        found = len(copy.events())
        copy.close()
        return found

    store.db.read("PRAGMA wal_checkpoint(TRUNCATE)")
    with store.transaction(fold=False):
        store.add_events([Event(1, 0, f"task {i:099}", "chosen") for i in range(99_999)])
    assert in_the_file("before") == 0
    reader = Store(tmp_path, role="reader")
    assert len(reader.events()) == 99_999
    reader.close()
    with store.transaction():
        store.set_meta("a", 1)
    assert in_the_file("after") == 99_999


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, None])
def test_a_transaction_that_fails_leaves_nothing(store: Store, error: type | None) -> None:
    with pytest.raises(error or UserError), store.transaction():
        store.add_tasks([make_task("one")], 1)
        store.epochs.add(0, 1, ["x"])
        if error:
            raise error
        store.epochs.add(0, 1, ["x"])  # there is one already
    assert (store.tasks(), store.epochs.all()) == ({}, [])
    with store.transaction():
        store.epochs.add(0, 1, ["x"])
    assert len(store.epochs.all()) == 1


@pytest.mark.parametrize("count", [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS + 7])
def test_many_rows_are_added_in_their_order_or_not_at_all(store: Store, count: int) -> None:
    events = [Event(i, i % 3, f"task {i}", "chosen", "why") for i in range(count)]
    store.add_events(iter(events))
    assert store.events() == events
    store.db.insert("INSERT OR IGNORE INTO ends", ((i // 2, i, None) for i in range(2 * count)))
    kept = [(i, 2 * i, None) for i in range(count)]
    assert store.db.read("SELECT * FROM ends") == kept
    with pytest.raises(UserError, match="UNIQUE"):
        rows = [(-i - 1, 0, None) for i in range(3 * ROWS)]
        store.db.insert("INSERT INTO ends", [*rows, rows[0]])
    assert store.db.read("SELECT * FROM ends ORDER BY epoch") == kept


def test_a_full_file_takes_nothing_by_halves(store: Store) -> None:
    """As on a full disk: SQLite ends the transaction by itself."""
    store.db.write("PRAGMA max_page_count = 40")
    kept = 0
    with pytest.raises(UserError, match=r"run\.sqlite: .*full; make room on the disk"):
        for kept in range(1000):
            with store.transaction():
                store.epochs.add(kept, 1, ["x" * 999])
                store.add_events([Event(1, kept, "x", "chosen")])
    assert kept
    with pytest.raises(UserError, match="make room"):
        store.set_meta("outside", "x" * 9999)
    assert [epoch.number for epoch in store.epochs.all()] == list(range(kept))
    assert [event.epoch for event in store.events()] == list(range(kept))
    store.db.write("PRAGMA max_page_count = 9999")
    store.epochs.add(kept, 1, [])
    assert len(store.epochs.all()) == kept + 1


def test_a_file_that_cannot_be_written(store: Store) -> None:
    store.db.write("PRAGMA query_only = 1")
    for write in (
        lambda: store.set_meta("a", 1),
        lambda: store.add_events([Event(1, 0, "x", "chosen")]),
        lambda: store.rollback(0, queues=True),
    ):
        with pytest.raises(UserError, match=r"run\.sqlite: .*readonly.*; make the folder and"):
            write()
    assert store.events() == []


def test_a_damaged_page_is_named(store: Store) -> None:
    for epoch in range(40):
        store.epochs.add(epoch, 1, ["x" * 500])
    store.close()
    data = bytearray(store.db.path.read_bytes())
    data[-8192:] = b"\xff" * 8192
    store.db.path.write_bytes(data)
    reader = Store(store.folder, role="reader")
    with pytest.raises(UserError, match=r"run\.sqlite: .*; it is damaged: restore it"):
        reader.epochs.all()
    with pytest.raises(UserError, match=r"run\.sqlite: "):
        reader.check()
    reader.close()


def test_a_reader_leaves_no_trace(tmp_path: Path) -> None:
    begin(make_config(2), tmp_path).store.close()
    before = digest(tmp_path)
    reader = Store(tmp_path, role="reader")
    reader.events()
    with pytest.raises(UserError, match="readonly"):
        reader.epochs.add(1, 1, [])
    reader.close()
    assert digest(tmp_path) == before


def test_a_long_read_stops_nobody(store: Store) -> None:
    """Nor does what is written meanwhile change it, not even where the log would be folded in."""
    store.add_events([Event(1, 0, f"task {i}", "chosen") for i in range(1000)])
    reader = Store(store.folder, role="reader")
    reading = reader.iter_events()
    first = next(reading)
    for epoch in range(3):
        store.epochs.add(epoch, 1, ["x" * 999] * 2500)
    store.add_events([Event(2, 0, "late", "chosen")])
    assert len([first, *reading]) == 1000
    assert len(reader.events()) == 1001
    assert len(reader.epochs.all()) == 3
    reader.close()


@pytest.mark.parametrize(
    ("harm", "read"),
    [
        ("groups SET rewards = '[0.5,'", lambda store: store.groups()),
        ("groups SET rewards = NULL", lambda store: store.groups()),
        ("events SET kind = 'seedes'", lambda store: store.events()),
        ("epochs SET task_ids = '['", lambda store: store.epochs.all()),
        ("epochs SET task_ids = '['", lambda store: store.epochs.last()),
        ("metrics SET line = ''", lambda store: store.measures.metrics()),
        ("episodes SET transcript = '{'", lambda store: store.episodes()),
        ("ends SET carried = '3/0'", lambda store: store.epochs.carried()),
        ("ends SET carried = '1e999999999'", lambda store: store.epochs.carried()),
        ("ends SET carried = '5/4'", lambda store: store.epochs.ends()),
        ("ends SET carried = NULL", lambda store: store.epochs.carried()),
        ("meta SET value = '{' WHERE key = 'config'", lambda store: store.meta("config")),
        ("meta SET value = 'x' WHERE key = 'version'", lambda store: None),
        ("tasks SET body = CAST(x'ff' AS TEXT)", lambda store: store.tasks()),
        ("tasks SET body = '{}'", lambda store: store.tasks()),
    ],
)
def test_a_damaged_value_is_told(tmp_path: Path, harm: str, read) -> None:
    loop = begin(make_config(2), tmp_path)
    go(loop, 6)
    loop.store.set_meta("config", {})
    loop.store.measures.add_metrics(1, {})
    loop.store.add_episode(1, SEEDS[0].id, 0.5, "answered", [])
    loop.store.db.write(f"UPDATE {harm}")
    loop.store.close()
    with pytest.raises(UserError, match=r"run\.sqlite: .*; it is damaged: restore it"):
        reader = Store(tmp_path, role="reader")
        try:
            read(reader)
        finally:
            reader.close()


@pytest.mark.parametrize(
    "harm",
    [
        "events SET task_id = 'gone' WHERE rowid = 1",
        "events SET kind = 'woken' WHERE kind = 'injected'",
        "events SET kind = 'seeded' WHERE kind = 'chosen'",
    ],
)
def test_a_history_that_contradicts_itself_is_told(tmp_path: Path, harm: str) -> None:
    loop = begin(make_config(2), tmp_path)
    go(loop, 12)
    loop.store.db.write(f"UPDATE {harm}")
    loop.store.close()
    with pytest.raises(UserError, match=r"run\.sqlite: its history says that task .* restore it"):
        begin(make_config(2), tmp_path, step=12)


def test_a_task_whose_id_was_altered_is_told(tmp_path: Path) -> None:
    loop = begin(make_config(2), tmp_path)
    go(loop, 12)
    loop.store.db.write("UPDATE tasks SET id = 'x' || id WHERE parent != ''")
    loop.store.close()
    with pytest.raises(UserError, match=r"was injected and is not stored; it is damaged"):
        begin(make_config(2), tmp_path, step=12)


def test_a_candidate_whose_event_is_gone_is_told(tmp_path: Path) -> None:
    """It waits again, and cannot join twice."""
    loop = begin(make_config(2, pool={"beta": 1.0}), tmp_path)
    go(loop, 12)
    loop.store.db.write("DELETE FROM events WHERE kind = 'injected'")
    with pytest.raises(UserError, match=r"cannot be injected: it is .*; it is damaged"):
        go(loop, 20)
    loop.store.close()


class Holding:
    """Another connection that holds the right to write."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.db.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        self.db.execute("ROLLBACK")
        self.db.close()


def test_a_writer_waits_for_another(store: Store) -> None:
    def write_epoch() -> None:
        with store.transaction():
            store.epochs.add(0, 1, [])

    for write in (write_epoch, lambda: store.set_meta("a", 1)):
        other, ended = Holding(store.db.path), []

        def end(other: Holding = other, ended: list[bool] = ended) -> None:
            ended.append(True)
            other.end()

        assert store.events() == [], "a reader waits for nobody"
        timer = threading.Timer(0.5, end)
        timer.start()
        write()
        assert ended
        timer.join()


def test_nobody_waits_for_ever(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MOST_PATIENCE", 0.3)
    other = Holding(store.db.path)
    for write in (lambda: store.set_meta("a", 1), lambda: store.epochs.add(0, 1, [])):
        with pytest.raises(UserError, match=r"run\.sqlite: .*locked; end the process .*fuser"):
            write()
    other.end()
    assert (store.meta("a"), store.epochs.all()) == (None, [])


def locking(folder: Path) -> subprocess.Popen[str]:
    """A worker that has begun to write."""
    command = [sys.executable, "-c", LOCK, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    process.stdout.close()
    return process


@pytest.mark.parametrize("stopped", [False, True])
def test_a_trainer_kills_a_worker_that_holds_the_file(store: Store, stopped: bool) -> None:
    worker = locking(store.folder)
    if stopped:
        os.kill(worker.pid, signal.SIGSTOP)
    with store.transaction():
        store.epochs.add(0, 1, ["x"])
    assert worker.wait() == -signal.SIGKILL
    assert len(store.epochs.all()) == 1
    Store(store.folder, role="worker").close()


def test_a_worker_kills_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MOST_PATIENCE", 0.3)
    worker = Store(store.folder, role="worker")
    with store.transaction():
        store.epochs.add(0, 1, ["x"])
        with pytest.raises(UserError, match="locked"):
            worker.set_meta("a", 1)
    assert len(worker.epochs.all()) == 1
    worker.close()


def test_a_reader_where_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was closed is read without the files that SQLite wants beside it."""
    loop = begin(make_config(2), tmp_path / "run")
    go(loop, 6)
    copied = tmp_path / "copied"
    copied.mkdir()
    for end in ("", "-wal"):  # a trainer was killed, and its index is lost
        (copied / f"{FILE}{end}").write_bytes((tmp_path / "run" / f"{FILE}{end}").read_bytes())
    loop.store.close()
    monkeypatch.setattr(os, "access", lambda *_: False)
    before = digest(tmp_path / "run")
    reader = Store(tmp_path / "run", role="reader")
    assert reader.last_step() == 6
    assert digest(tmp_path / "run") == before, "something was put there"
    reader.close()
    with pytest.raises(UserError, match=r"run\.sqlite-wal is to be read too.*copy the whole"):
        Store(copied, role="reader")
    monkeypatch.undo()
    reader = Store(copied, role="reader")
    assert reader.last_step() == 6
    reader.close()
