"""MCP servers as environments: sessions in this process, over stdio and over HTTP."""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_files import HERE, LIBRARY, called, library, odd, opened, task_of, written
from rods.envs.base import Work
from rods.envs.guard import GuardedEnvironment, guard
from rods.envs.load import load_environment
from rods.envs.mcp.environment import McpEnvironment
from rods.envs.mcp.masks import Masks
from rods.envs.task_file import read_task_file
from rods.errors import UserError
from rods.reward import gold_trace
from rods.synthesis.inputs import own_inputs
from rods.task import Call

TASKS = LIBRARY / "tasks.yaml"
FACTORY = {"factory": "examples.lending.server:make"}
TOOLS = ["list_books", "add_book", "lend_book", "return_book", "find_reader"]
OFFERED = {"state": {"calls": ["list_books()"]}, "tools": TOOLS}
LEND = called("lend_book", book_id="b1", reader="Bob")
FIND = called("find_reader", book_id="b1")
WRITE, READ = called("write", text="seven"), called("read")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[McpEnvironment]:
    env = opened(tmp_path_factory.mktemp("here"), FACTORY, **OFFERED)
    yield env
    env.close()


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[McpEnvironment]:
    limits = {"servers": 2, "call_seconds": 20, "start_seconds": 60}
    env = opened(tmp_path_factory.mktemp("apart"), library(), limits, **OFFERED)
    yield env
    env.close()


@pytest.fixture(params=["here", "apart"])
def env(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_a_session_in_this_process_and_over_stdio(env: McpEnvironment) -> None:
    assert list(env.specs) == TOOLS
    assert env.specs["lend_book"].required == ("book_id", "reader")
    described = env.specs["lend_book"].parameters["book_id"]
    assert described["type"] == "string" and described["description"].startswith("id of a book")
    one, two = env.open(task_of(env)), env.open(task_of(env))
    start = one.state()
    assert one.call(LEND).text == '{"lent":"b1","reader":"Bob"}'
    assert json.loads(two.call(FIND).text) == {"reader": ""}
    assert two.state() == start != one.state()
    copy = one.fork()
    assert copy.state() == one.state() and copy.call(FIND) == one.call(FIND)
    assert copy.call(called("return_book", book_id="b1")).ok
    assert copy.matches(start) and not one.matches(start)
    for session in (one, two, copy):
        session.close()
    assert one.call(FIND).raised


def test_errors_are_found_in_all_forms(env: McpEnvironment) -> None:
    session = env.open(task_of(env))
    told = session.call(called("return_book", book_id="b9"))
    raised = session.call(called("lend_book", book_id="b2", reader="Bob"))
    refused = session.call(called("lend_book", book_id="b2"))
    misfit = session.call(Call.model_construct(name="find_reader", arguments={"book_id": [1]}))
    unknown = session.call(called("restore_books"))
    assert not any(seen.ok for seen in (told, raised, refused, misfit, unknown))
    assert "b9 is not lent" in told.text and "b2 is lent to Ann" in raised.text
    assert (refused.refused, unknown.refused) == ("missing argument", "unknown tool")
    session.close()


def test_both_forms_agree(here: McpEnvironment, apart: McpEnvironment) -> None:
    """So do their digests, which are made in different processes."""
    tasks = read_task_file(TASKS, here)
    for task in tasks[:3]:
        mine = gold_trace(task, here)
        theirs = gold_trace(task.model_copy(update={"environment": apart.name}), apart)
        assert mine.record == theirs.record == task.record
        assert mine.error_free


def test_the_guard_takes_servers_of_this_process_only(
    here: McpEnvironment, apart: McpEnvironment
) -> None:
    assert guard(apart) is apart
    guarded = guard(here)
    assert isinstance(guarded, GuardedEnvironment)
    try:
        session, mine = guarded.open(task_of(here)), here.open(task_of(here))
        assert session.call(LEND) == mine.call(LEND)
        assert session.state().digest == mine.state().digest
        assert session.state().data == mine.state().data
        mine.close()
    finally:
        guarded.close()


def test_more_sessions_than_servers(tmp_path: Path) -> None:
    """Those without a server get one again, with their calls repeated."""
    env = opened(tmp_path, odd("is sound"), {"servers": 2})
    sessions = [env.open(task_of(env)) for _ in range(6)]
    for _ in range(2):
        steps = [Work(s, (called("write", text=str(i)),)) for i, s in enumerate(sessions)]
        assert all(outcome.observations[0].ok for outcome in env.execute(steps))
        outcomes = env.execute([Work(session, (READ,), None, True) for session in sessions])
        assert [o.observations[0].text for o in outcomes] == list("012345")
        assert len({outcome.state.digest for outcome in outcomes if outcome.state}) == 6
    alive = {pid for s in sessions if (pid := getattr(s._seats["odd"].server, "pid", None))}
    assert len(alive) <= 2
    for session in sessions:
        session.close()
    env.close()
    assert not list(env._root.iterdir())


def test_sessions_cannot_reach_each_other(tmp_path: Path) -> None:
    """A call that guesses: the other one's folder has no name that the agent could know."""
    env = opened(tmp_path, odd("is sound"))
    one, two = env.open(task_of(env)), env.open(task_of(env))
    assert one.call(WRITE).ok and two.call(READ).text == ""
    folders = [session._seats["odd"].server.folder for session in (one, two)]
    assert folders[0] != folders[1] and folders[0].parent.stat().st_mode & 0o077 == 0
    masks = Masks(env.classes["odd"], folders[1])
    assert masks.meant("/odd/text.txt") == f"{folders[1]}/text.txt"
    assert masks.meant({"a": ["in /odd", "x/odd", "/oddly"]}) == {
        "a": [f"in {folders[1]}", "x/odd", "/oddly"]
    }
    assert masks.shown(f"{folders[1]}/a and {folders[1].parent}/b") == "/odd/a and /b"
    assert two.call(READ).text == ""
    assert str(folders[0]) not in json.dumps(two.state().data)
    env.close()


def test_two_processes_give_the_same_digests(tmp_path: Path) -> None:
    path = written(tmp_path, odd("is sound"), template="start")
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "a.txt").write_text("one")
    line = (
        "import sys; from mcp_files import *; from pathlib import Path;"
        "env = McpEnvironment(Path(sys.argv[1])); s = env.open(task_of(env));"
        "s.call(called('write', text='seven')); print(env.version, s.state().digest)"
    )
    out = {
        subprocess.run(
            [sys.executable, "-c", line, str(path)],
            capture_output=True,
            text=True,
            cwd=HERE,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            check=True,
        ).stdout
        for seed, zone in (("1", "Etc/GMT+12"), ("2", "Etc/GMT-14"))
    }
    assert len(out) == 1


def test_clocks_are_masked_and_ids_are_named(tmp_path: Path) -> None:
    settings = {
        "state": {"files": ["**"]},
        "mask": {"time": r"\d{4}-\d\d-\d\dT[\d:]+"},
        "ids": {"stamp": r"\b\d{19}\b"},
    }
    env = opened(tmp_path, odd("tells the time"), **settings)
    session = env.open(task_of(env))
    act = called("act")
    assert session.call(act).text == "it is <time> and stamp-1"
    assert session.call(act).text == "it is <time> and stamp-2"
    session.call(called("write", text="note stamp-2 and stamp-9"))
    assert session.call(READ).text == "note stamp-2 and stamp-9"
    held = session.state().data
    assert held["odd"]["files"]["text.txt"]["content"] == "note <stamp> and stamp-9"
    copy = session.fork()
    assert copy.state() == session.state() and not copy.lost
    env.close()


def test_an_environment_that_is_not_used_any_more_ends_without_a_wait(tmp_path: Path) -> None:
    """The garbage collector may run in any thread, such as that of the servers themselves."""
    env = opened(tmp_path, odd("is sound"))
    env.cycle = env
    session = env.open(task_of(env))
    assert session.call(WRITE).ok
    session.close()
    host, root = env._host, env._root
    del env, session

    async def collect() -> None:
        gc.collect()

    waiting = threading.Thread(target=lambda: host.run(collect()), daemon=True)
    waiting.start()
    waiting.join(30)
    assert not waiting.is_alive(), "it waits for itself"
    host.join(30)
    assert not root.exists()


def test_a_process_ends_with_its_servers(tmp_path: Path) -> None:
    path = written(tmp_path, odd("is sound"), state={"files": ["**"]})
    line = (
        "import sys; from mcp_files import *;"
        "env = McpEnvironment(Path(sys.argv[1])); s = env.open(task_of(env));"
        "s.call(called('read')); print(env._root, s._seats['odd'].server.pid)"
    )
    arguments = [sys.executable, "-c", line, str(path)]
    out = subprocess.run(arguments, capture_output=True, text=True, cwd=HERE, check=True)
    root, pid = out.stdout.split()
    assert not Path(root).exists() and out.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_server_by_url(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = [sys.executable, str(LIBRARY / "server.py"), str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(script, cwd=tmp_path, **quiet)  # type: ignore[call-overload]
    try:
        entry = {"url": f"http://127.0.0.1:{port}/mcp", "headers": {"X-Key": "${USER:-me}"}}
        limits = {"call_seconds": 20}
        settings = {**OFFERED, "reset": "restore_books()"}
        for _ in range(100):
            try:
                env = opened(tmp_path, entry, limits, **settings)
                break
            except UserError:
                assert process.poll() is None
                time.sleep(0.3)
        one, two = env.open(task_of(env)), env.open(task_of(env))
        assert one.call(LEND).ok
        assert json.loads(two.call(FIND).text) == {"reader": ""}  # reset in between
        assert json.loads(one.call(FIND).text) == {"reader": "Bob"}  # its call is repeated
        env.close()
    finally:
        process.kill()
        process.wait()


def test_a_path_is_stored_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, odd("is sound"))
    monkeypatch.chdir(tmp_path)
    for name in ("mcp:servers.json", "mcp:./servers.json", f"mcp:{path}"):
        env = load_environment(name)
        assert env.name == "mcp:servers.json"
        env.close()  # type: ignore[attr-defined]
    monkeypatch.chdir(HERE)
    env = load_environment(f"mcp:{path}")
    assert env.name == f"mcp:{path}"
    env.close()  # type: ignore[attr-defined]


def test_tables_are_compared_by_content(tmp_path: Path) -> None:
    import sqlite3

    from rods.envs.mcp.config import read_config
    from rods.envs.mcp.view import folder_state, in_order

    states = []
    for name, order in (("one", "1, 2"), ("two", "2, 1")):
        folder = tmp_path / name
        folder.mkdir()
        base = sqlite3.connect(folder / "a.db")
        base.execute("PRAGMA journal_mode = WAL" if name == "two" else "PRAGMA user_version = 1")
        base.execute("CREATE TABLE t(id INTEGER, data BLOB)")
        base.execute(
            "CREATE VIEW endless AS WITH RECURSIVE n(i) AS"
            " (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n"
        )
        for number in map(int, order.split(",")):
            base.execute("INSERT INTO t VALUES (?, ?)", (number, b"\xff"))
        base.commit()
        (config,) = read_config(written(tmp_path, odd("x"), state={"files": ["**"]}))
        states.append(in_order(folder_state(config, folder)))
        base.close()
    assert states[0] == states[1]
    assert [row["id"] for row in states[0]["tables"]["a.db"]["t"]] == [1, 2]
    assert states[0]["files"] == {}


def test_check_says_what_to_add(tmp_path: Path, rods: Any) -> None:
    path = written(tmp_path, odd("tells the time"), state={"files": ["**"]})
    done = rods("envs", "check", f"mcp:{path}")
    assert done.code == 1
    lines = {line[4:].split("  ")[0].strip(): line for line in done.out.splitlines()}
    assert lines["act"].startswith("BAD act") and 'to mask: "number of time"' in lines["act"]
    assert "deterministic, reset; writes, seen in the state" in lines["write"]
    assert "deterministic, reset; reads" in lines["read"]
    path = written(tmp_path, odd("is sound"), state={})
    done = rods("envs", "check", f"mcp:{path}", "--json")
    found = json.loads(done.out)
    assert found["methods"]["server odd"] == ["no state is read: add state.files or state.calls"]
    assert "changed nothing that the state shows" in found["facts"]["write"][-1]


def test_check_in_this_process(tmp_path: Path, rods: Any) -> None:
    path = written(tmp_path, FACTORY, **OFFERED)
    done = rods("envs", "check", f"mcp:{path}", "--tasks", TASKS)
    assert (done.code, done.err) == (0, "")
    assert "5 of 5 methods pass, 6 ground truths played" in done.out
    for name in ("add_book", "lend_book", "return_book"):
        assert any(
            line.startswith(f"ok  {name} ") and line.endswith("writes, seen in the state")
            for line in done.out.splitlines()
        )


def test_play(tmp_path: Path, rods: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    from types import SimpleNamespace

    text = b"list_books(author='Austen')\n\nlend_book(book_id='b1', reader='Bob')\n\n"
    stdin = SimpleNamespace(buffer=io.BytesIO(text), isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", stdin)
    path = written(tmp_path, FACTORY, **OFFERED)
    done = rods("play", "emma-for-bob", "--env", f"mcp:{path}", "--tasks", TASKS)
    assert done.code == 0 and "[progress 1.000, complete]" in done.out


@pytest.mark.slow
def test_variants_are_made_and_pass_the_gates(tmp_path: Path, rods: Any) -> None:
    path, out = written(tmp_path, FACTORY, **OFFERED), tmp_path / "variants.jsonl"
    own = ("--env", f"mcp:{path}", "--tasks", TASKS)
    done = rods("synth", *own, "--count", 4, "--out", out, "--workers", 1)
    assert done.code == 0
    made = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(made) == 4 and {task["environment"] for task in made} == {f"mcp:{path}"}
    done = rods("verify", out, *own)
    assert (done.code, "4 of 4 tasks pass every gate" in done.out) == (0, True)


def test_synthesis_learns_values_of_the_state(here: McpEnvironment, tmp_path: Path) -> None:
    inputs = own_inputs(here.name, TASKS)
    assert {task.classes for task in inputs.seeds} == {("odd",)}
    assert all(task.record for task in inputs.seeds)


@pytest.mark.slow
def test_training(tmp_path: Path, rods: Any) -> None:
    path = written(tmp_path, FACTORY, **OFFERED)
    own = ("--env", f"mcp:{path}", "--tasks", TASKS)
    run = tmp_path / "run"
    done = rods("train", "--run", run, "--preset", "tiny", *own, "--set", "steps=4")
    assert done.code == 0 and "trajectories" in done.out
