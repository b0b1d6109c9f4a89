"""The page on a run that goes on: what it shows, what it finds, and whom it answers."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from starlette.testclient import TestClient

from commandline import refused
from doubles import begin, go, make_config, make_task
from pages import Elements
from rods.digest.search import Filters, find_episodes, find_tasks
from rods.digest.tables import INDEXES, TABLES
from rods.errors import UserError
from rods.html import readable
from rods.store.store import Store
from rods.watch.access import COOKIE, HEADERS, TOKEN
from rods.watch.run import Keeper, WatchedRun
from rods.watch.server import application
from watched import HOSTILE, LONG, hostile_run, watched

SECRET = "a token of twenty characters"


def test_pages_need_what_is_installed_with_an_extra() -> None:
    from rods.extras import WATCH, missing

    assert all("rods[watch]" in missing(name) for name in WATCH)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "a run"
    hostile_run(folder)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with watched(folder) as client:
        yield client


def page(client: TestClient, path: str, code: int = 200) -> Elements:
    answer = client.get(path)
    assert answer.status_code == code, answer.text
    return Elements(answer.text)


def links(found: Elements, to: str) -> list[str]:
    pattern = re.compile(rf"/run/[^/]+/{to}/([^?/]+)")
    hrefs = [attrs.get("href") or "" for tag, attrs in found.tags if tag == "a"]
    return [match[1] for href in hrefs if (match := pattern.fullmatch(href))]


ALL = ("", "/tasks", "/episodes")


def test_one_run_is_the_first_page(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 307 and answer.headers["location"] == "/run/a%20run"
    words = page(client, "/run/a%20run").words
    for text in ("steps done 2 of 9", "retired 1", "trainer not at work here", "100.0% → 0.0%"):
        assert text in words, text


def test_nothing_is_loaded_from_elsewhere_and_no_text_becomes_markup(client: TestClient) -> None:
    key = links(page(client, "/run/a%20run/episodes"), "episode")[1]
    task = links(page(client, "/run/a%20run/tasks?state=retired"), "task")[0]
    for path in (*ALL, f"/task/{task}", f"/episode/{key}", f"/task/{quote(HOSTILE)}"):
        answer = client.get(f"/run/a%20run{path}")
        assert "<script>alert" not in answer.text and "\x1b" not in answer.text
        assert "\u202e" not in answer.text and "\x07" not in answer.text
        found = Elements(answer.text)
        own = re.compile("data:,|#main|/|/(run|static)/[^/].*")
        assert all(own.fullmatch(value or "") for _, value in found.loads())
        assert not [tag for tag, attrs in found.tags if "style" in attrs]
        assert not [a for _, attrs in found.tags for a in attrs if a.startswith("on")]
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
    assert readable(HOSTILE) in page(client, "/run/a%20run").text


def test_the_figures_are_those_of_the_report(client: TestClient, folder: Path) -> None:
    from rods.report.page import write_report

    report = Elements(write_report(folder, folder.parent / "r.html").read_text("utf-8"))
    shown = page(client, "/run/a%20run").sections
    assert shown.keys() == report.sections.keys()
    for key, tables in report.sections.items():
        assert [t.rows for t in tables] == [t.rows for t in shown[key]], key
    (times,) = shown["steps"]
    assert times.columns["rollouts"] == ["1.5", "1.5", "1.5"]


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("", 5),
        ("category=base", 4),
        ("category=miss_func", 1),
        ("state=retired", 1),
        ("state=active", 3),
        ("state=active&category=base", 2),
        ("tool=send_message", 1),
        ("text=list", 3),
        ("text=fold+li", 3),
        ("text=ist", 0),
        ("text=list&category=base", 2),
        ("ending=answered", 1),
        ("text=%22+OR+said+*", 0),
        ("text=-%28%22", 0),
        ("category=%27+OR+1%3D1", 0),
        ("before=2", 1),
        ("before=x", 5),
    ],
)
def test_tasks_are_found(client: TestClient, asked: str, count: int) -> None:
    found = page(client, f"/run/a%20run/tasks?{asked}")
    assert len(links(found, "task")) == count


@pytest.mark.parametrize("find", [find_tasks, find_episodes])
@pytest.mark.parametrize("also", ["category state", "family", "parent", "state", "ending", ""])
def test_words_are_searched_once_and_not_in_each_row(find, also: str) -> None:
    db, said = sqlite3.connect(":memory:"), list[str]()
    db.executescript(TABLES + INDEXES)
    db.set_trace_callback(said.append)
    find(db, Filters(text="london", tool="ls", **dict.fromkeys(also.split(), "base")), 9, 5)
    db.set_trace_callback(None)
    listed = [one for one in said if "_words MATCH" in one and not one.startswith("--")]
    assert len(listed) == 2  # the number of them, and a page
    for one in listed:
        loops = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {one}")]
        assert next(step for step in loops if step[:4] in ("SCAN", "SEAR")).startswith("SCAN w ")


def test_families_lead_up_and_down(client: TestClient) -> None:
    (one,) = links(page(client, "/run/a%20run/tasks?state=retired"), "task")
    found = page(client, f"/run/a%20run/task/{one}")
    seed, itself, two = links(found, "task")[:3]
    assert itself == one and "seed task" in found.text
    for asked, ids in ((f"parent={one}", [two]), (f"family={seed}", [two, one, seed])):
        assert links(page(client, f"/run/a%20run/tasks?{asked}"), "task") == ids
    assert f"varied from {seed}" in found.text and "parent and variant" in found.text
    beside = page(client, f"/run/a%20run/task/{two}?beside={seed}")
    assert "other and task" in beside.text and "list the folder 0" in beside.text


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("", 3),
        ("ending=answered", 1),
        ("state=retired", 2),
        ("state=active", 1),
        ("tool=send_message", 2),
        ("tool=ls", 0),
        ("text=earlier", 1),
        ("text=earlier&state=active", 0),
        ("text=away&category=base", 1),
    ],
)
def test_episodes_are_found(client: TestClient, asked: str, count: int) -> None:
    assert len(links(page(client, f"/run/a%20run/episodes?{asked}"), "episode")) == count


def test_an_episode_has_verdicts_and_ground_truth(client: TestClient) -> None:
    keys = links(page(client, "/run/a%20run/episodes"), "episode")
    judged = next(key for key in keys if key.startswith("2-"))
    found = page(client, f"/run/a%20run/episode/{judged}")
    for text in ("Turn 1: failed: no tool was called", "Turn 2: passed", "ground truth"):
        assert text in found.words, text
    assert found.words.count("send_message(") == 2, "made, and right"
    assert len(found.text) < len(LONG) / 10, "a long line is cut"
    whole = client.get(f"/run/a%20run/episode/{judged}/message/3")
    assert whole.text == LONG and whole.headers["content-type"].startswith("text/plain")
    assert client.get(f"/run/a%20run/episode/{judged}/message/99").status_code == 404
    said = client.get(f"/run/a%20run/episode/{judged}/message/1")
    assert said.text == readable(HOSTILE)
    other = next(key for key in keys if key.startswith("3-"))
    assert "Turn 1 tools" in page(client, f"/run/a%20run/episode/{other}").words
    answer = client.get(f"/run/a%20run/compare?pick={judged}&pick={other}")
    assert answer.status_code == 303
    both = page(client, answer.headers["location"])
    assert "Two episodes" in both.text and "earlier stores" in both.text
    assert page(client, "/run/a%20run/compare?pick=1", 400).text.count("pick two episodes") == 1


@pytest.mark.parametrize(
    "path", ["/run/x", "/run/a%20run/task/x", "/run/a%20run/episode/9-x", "/static/../x", "/x"]
)
def test_what_is_not_there_is_said(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_pages_can_only_be_read(client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert client.request(method, "/run/a%20run").status_code == 405


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1].x"])
def test_other_names_of_this_machine_are_refused(client: TestClient, host: str) -> None:
    assert client.get("/run/a%20run", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8642", "[::1]:80", "[::1]"])
def test_this_machine_is_answered(client: TestClient, host: str) -> None:
    assert client.get("/run/a%20run", headers={"host": host}).status_code == 200


def test_other_machines_need_the_token(folder: Path) -> None:
    with watched(folder, token=SECRET) as client:
        for path in ("/", "/versions", "/run/a%20run", "/run/a%20run/tasks"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/enter")
        assert SECRET not in client.get("/enter").text
        wrong = client.post("/enter", data={"token": "x"})
        assert wrong.status_code == 403 and COOKIE not in wrong.cookies
        assert client.post("/enter", content=b"x" * 9999).status_code == 413
        bearer = {"authorization": f"Bearer {SECRET}"}
        assert client.get("/versions", headers=bearer).status_code == 200
        right = client.post("/enter", data={"token": SECRET})
        assert (
            SECRET not in right.headers["set-cookie"] and "HttpOnly" in right.headers["set-cookie"]
        )
        answer = client.get("/run/a%20run")
        assert answer.status_code == 200 and SECRET not in answer.text


def test_a_listener_for_others_wants_a_token(rods, folder: Path, monkeypatch) -> None:
    monkeypatch.setenv(TOKEN, "short")
    refused(rods("watch", folder, "--host", "0.0.0.0"), TOKEN)
    refused(rods("watch", folder.parent), "no run here")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused(rods("watch", folder, "--port", taken.getsockname()[1]), "--port")


def test_several_runs_are_laid_over_each_other(folder: Path, tmp_path: Path) -> None:
    loop = begin(make_config(2), tmp_path / "a run")
    go(loop, 4)
    loop.store.close()
    with watched(folder, tmp_path / "a run") as client:
        found = page(client, "/")
        assert "a run-2" in found.text
        (signals,) = found.sections["signals"] or [None]
        assert signals is not None and signals.rows[0] == ["training step", "a run", "a run-2"]
        assert page(client, "/run/a%20run-2").sections["zones"]


def test_the_page_follows_the_run_and_changes_nothing(tmp_path: Path) -> None:
    """Epoch by epoch the numbers are the store's, also where the run goes back."""
    loop = begin(make_config(2), tmp_path)
    keeper = Keeper([tmp_path])
    (run,) = keeper.runs.values()
    counts = []
    for steps in (3, 9, 21):
        go(loop, steps)
        before = loop.store.db.read("PRAGMA data_version")
        assert not run.look() and run.state is not None
        assert loop.store.db.read("PRAGMA data_version") == before, "no other process wrote"
        counts.append(checked(run, loop.store))
    loop.load(3)
    run.look()
    assert checked(run, loop.store) == counts[0]
    go(loop, 21)
    run.look()
    assert checked(run, loop.store) == counts[2]
    keeper.close()
    loop.store.close()


def checked(run: WatchedRun, store: Store) -> tuple[int, int, int]:
    """The numbers that the page shows, which the store must have too."""
    state, groups, events = run.state, store.groups(), store.events()
    assert state is not None and not run.problem
    shown = sum(state.total("signal").values())
    assert shown == len(groups)
    for kind, n in state.total("event").items():
        assert n == sum(event.kind == kind for event in events), kind
    with run.open() as (_, db):
        (tasks,) = db.execute("SELECT COUNT(*) FROM tasks").fetchone()
        states = dict(db.execute("SELECT id, state FROM tasks"))
    (stored,) = store.db.read("SELECT COUNT(*) FROM tasks")[0]
    assert tasks == stored
    latest = {e.task_id: e for e in events if e.kind != "chosen"}
    ends = {"retired": "retired", "rested": "resting", "injected": "trial"}
    for task_id, event in latest.items():
        assert states[task_id] == ends.get(event.kind, states[task_id])
    return shown, len(events), tasks


def test_a_watched_run_can_be_started(folder: Path, tmp_path: Path) -> None:
    """Looking at a run holds no lease of it."""
    Store(tmp_path).close()
    with watched(tmp_path, follow=True) as client:
        for _ in range(20):
            store = Store(tmp_path)
            store.close()
            assert client.get("/versions").status_code == 200
        store, deadline = Store(tmp_path), time.monotonic() + 60
        while "trainer at work" not in page(client, f"/run/{tmp_path.name}").words:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        store.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_and_leaves_nothing(folder: Path, tmp_path: Path, number: int) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "rods", "watch", str(folder), "--port", "0"]
    begun = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in a shell ignores it
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=env, preexec_fn=begun
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert httpx.get(f"{address}run/a%20run/tasks").status_code == 200
        assert [*tmp_path.iterdir()]
        server.send_signal(number)
        assert server.wait() == 128 + number
    assert not [*tmp_path.iterdir()]


def test_a_run_that_is_damaged_while_it_is_shown(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_tasks([make_task("a b", "base")], 0)
    store.close()
    with watched(tmp_path) as client:
        file = tmp_path / "run.sqlite"
        file.write_bytes(b"x" * 8192)
        answer = client.get(f"/run/{tmp_path.name}/tasks")
        assert answer.status_code == 500 and "damaged" in answer.text


def test_a_page_that_is_asked_for_while_the_digest_begins_anew(folder: Path) -> None:
    keeper = Keeper([folder])
    try:
        (run,) = keeper.runs.values()
        while run.look():
            pass
        for file in run.digest.files():
            file.unlink()
        client = TestClient(application(keeper), "http://127.0.0.1")
        for name in ("tasks", "episodes", "task/a", "episode/1-a"):
            answer = client.get(f"/run/{quote(run.name)}/{name}")
            assert answer.status_code == 500 and "load the page again" in answer.text
    finally:
        keeper.close()


def test_no_run_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run here"):
        Keeper([tmp_path])
