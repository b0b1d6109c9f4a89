"""Runs that are killed and resumed end as others do; the benchmark finds one that does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kill_test
from doubles import make_task
from rods.curriculum.pool import Event
from rods.curriculum.selector import Parent
from rods.envs.base import Work
from rods.envs.calls import CallLimits
from rods.envs.guard import GuardedEnvironment
from rods.envs.load import load_environment
from rods.group import Group
from rods.job_result import JobResult
from rods.store.schema import Job
from rods.store.store import Store
from rods.task import Call, Task, Turn


@pytest.mark.slow
def test_killed_runs_end_as_the_others(tmp_path: Path) -> None:
    out = tmp_path / "kill.json"  # with this seed the trainer and a worker of the guard are killed
    told = ["--runs", "2", "--seed", "38086", "--cases", "random", "--real", "0"]
    command = [sys.executable, kill_test.__file__, *told, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("\n2 of 2 equal\n"), done.stdout
    made = json.loads(out.read_text("utf-8"))
    assert made["kills"] >= 2 and made["killed"]["trainer"] and made["starts"] > 2
    (unbroken,) = made["unbroken"]
    # By the random rule this hangs on no machine's floating point.
    assert {"chosen", "injected", "retired"} < set(unbroken["history"])


def test_a_difference_is_found() -> None:
    one = {"pool": [{"task_id": "a", "state": "active"}], "funnel": []}
    other = {"pool": [{"task_id": "a", "state": "retired"}], "funnel": []}
    assert kill_test.difference(one, one) == ""
    assert "pool 0" in kill_test.difference(one, other)
    assert "pool 0" in kill_test.difference({"funnel": []}, other)
    assert "funnel 0" in kill_test.difference({**one, "funnel": [{"count": 1}]}, one)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """With a candidate that was injected, one that waits, and a checkpoint at step 1 of 2."""
    store = Store(tmp_path / "run")
    parent, *made = (make_task(text) for text in ("parent", "injected", "waiting"))
    queue = store.queue
    with store.transaction():
        store.add_tasks([parent], 0)
        for step in (1, 2):
            store.add_groups([Group(parent.id, "base", (0.0, 1.0), 0, step)])
        store.add_events([Event(2, 1, made[0].id, "injected", parent.id)])
        queue.add_jobs(1, 0, [Parent(parent.id, "base", 1.0)])
    queue.finish(Job(1, 0, parent.id, 1.0), JobResult("made", made, {}, [], 0.1), 2)
    store.close()
    whole = tmp_path / "run" / "checkpoints" / "checkpoint-1"
    whole.mkdir(parents=True)
    (whole / kill_test.WHOLE).touch()
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM groups WHERE step = 2", ""),
        ("UPDATE groups SET rewards = '[1, 1]' WHERE step = 1", "groups 0"),
        ("DELETE FROM groups WHERE step = 1", "groups 0"),
        ("DELETE FROM candidates WHERE id IN (SELECT id FROM waiting)", "candidate"),
        ("UPDATE candidates SET priority = 2.0", "candidate"),
        ("UPDATE tasks SET body = '' WHERE id IN (SELECT id FROM candidates)", "candidate"),
        ("INSERT INTO events SELECT * FROM events", "injected twice"),
        ("INSERT INTO events VALUES (2, 1, 'nobody', 'injected', '')", "no candidates"),
    ],
)
def test_what_was_acknowledged_is_watched(run: Path, change: str, told: str) -> None:
    kept = kill_test.Kept()
    assert kept.look(run) == kept.look(run) == ""
    store = Store(run)
    with store.transaction():
        store.db.write(change)
    store.close()
    fault = kept.look(run)
    assert told in fault and bool(told) == bool(fault)


def test_processes_that_are_left_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_test, "GRACE", 0.0)
    assert kill_test.left(tmp_path) == ""
    code = [sys.executable, "-c", "input()"]
    owned = {**os.environ, kill_test.OWNER: str(tmp_path)}
    for command, env in ((code, owned), ([*code, str(tmp_path)], None)):
        with subprocess.Popen(command, env=env, stdin=subprocess.PIPE) as process:
            assert kill_test.left(tmp_path) == f"left behind: {[' '.join([*command, ''])]}"
            process.kill()


MORTAL = """
import os, pathlib, signal

class Mortal:
    def __init__(self):
        self.value = 0

    def add(self, once: str = "") -> int:
        \"\"\"Add one.

        Args:
            once: a file; where it is missing, it is made and the process killed.
        \"\"\"
        if once and not pathlib.Path(once).exists():
            pathlib.Path(once).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        self.value += 1
        return self.value

    def die(self) -> None:
        \"\"\"Always.\"\"\"
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GuardedEnvironment]:
    (tmp_path / "mortal.py").write_text(MORTAL)
    monkeypatch.syspath_prepend(str(tmp_path))
    env = GuardedEnvironment(load_environment("mortal:Mortal"), CallLimits(seconds=60))
    yield env
    env.close()


def texts(env: GuardedEnvironment, *episodes: list[Call]) -> list[list[str]]:
    turns = (Turn(user="-"),)
    task = Task(category="base", environment=env.name, classes=("Mortal",), start={}, turns=turns)
    outcomes = env.execute([Work(env.open(task), tuple(calls)) for calls in episodes])
    assert not any(outcome.lost for outcome in outcomes)
    return [[seen.text for seen in outcome.observations] for outcome in outcomes]


def test_a_worker_that_is_killed_from_outside_changes_nothing(
    mortal: GuardedEnvironment, tmp_path: Path
) -> None:
    child, add = mortal.lanes[0].child, Call(name="add", arguments={})
    assert texts(mortal, [add]) == [["1"]]
    assert child._process is not None
    os.kill(child._process.pid, signal.SIGKILL)  # while it has nothing to do
    assert texts(mortal, [add, add], [add]) == [["1", "2"], ["1"]]
    once = Call(name="add", arguments={"once": str(tmp_path / "killed")})
    assert texts(mortal, [add], [add, once, add], [add]) == [["1"], ["1", "2", "3"], ["1"]]
    assert child.starts == 3


def test_a_call_that_always_kills_its_worker_is_to_blame(mortal: GuardedEnvironment) -> None:
    add, die = (Call(name=name, arguments={}) for name in ("add", "die"))
    first, blamed, last = texts(mortal, [add], [add, die, add], [add])
    assert (first, last, blamed[::2]) == (["1"], ["1"], ["1", "2"])
    assert "ended its process" in blamed[1]
    assert mortal.lanes[0].child.starts == 3
