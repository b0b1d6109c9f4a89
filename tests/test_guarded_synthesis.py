"""`rods synth` on tools that hang or are slow: bounded, named and counted."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from commandline import Done, refused
from rods.files.tasks import read_tasks
from rods.processes import module_variables
from rods.store.store import Store
from rods.synthesis import collector, execute

HERE = Path(__file__).parent
NAMES = (("hall", "attic"), ("cellar", "loft"), ("yard", "barn"))


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.chdir(tmp_path)
    rows = [gate(str(i), *NAMES[i % 3], 55 + i) for i in range(6)]
    Path("gates.jsonl").write_text("\n".join(map(json.dumps, rows)))
    rows = [
        {
            "id": str(n),
            "start": {"Always": {"right": n}},
            "turns": [{"user": f"Set it to {n}.", "calls": [f"set_number({n})"]}],
        }
        for n in (3, 40)
    ]
    Path("always.jsonl").write_text("\n".join(map(json.dumps, rows)))
    turn = {"user": "The name with the number 5, please.", "calls": ["get_name(number=5)"]}
    Path("slow.jsonl").write_text(json.dumps({"id": "a", "turns": [turn]}))


def gate(name: str, one: str, two: str, minutes: int) -> dict[str, Any]:
    user = f"How often was the {two} opened? And open the {one} for {minutes} minutes."
    calls = [f"check_gate(gate='{two}')", f"open_gate(gate='{one}', minutes={minutes})"]
    start = {"gates": {one: {"open": True}, two: {"visits": ["3"]}}}
    return {"id": name, "start": {"Gates": start}, "turns": [{"user": user, "calls": calls}]}


def synth(name: str, count: int = 2, out: str = "made.jsonl") -> tuple[str, ...]:
    own = ("--env", f"stuck_tools:{name}", "--tasks", f"{name.lower()}.jsonl")
    return ("synth", "--count", str(count), "--out", out, "--workers", "1", *own)


def test_a_tool_that_hangs_is_counted_and_tasks_are_made(rods: Any) -> None:
    done: Done = rods(*synth("Gates"), "--limits", "seconds=0.3", "--json")
    assert done.code == 0, done
    found = json.loads(done.out)
    assert found["tasks"] == 2 and found["stopped"]["check_gate: time limit"] >= 1
    tasks = read_tasks(Path("made.jsonl"))
    assert all(task.start["Gates"]["gates"] for task in tasks)  # nested, and rebuilt
    own = ("--env", "stuck_tools:Gates", "--tasks", "gates.jsonl")
    assert rods("verify", "made.jsonl", *own).code == 0


def test_tools_that_always_hang_end_the_command(rods: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "STOPS", 8)
    monkeypatch.setattr(execute, "STOPS", 1)  # then it is blocked before it gets known values
    done = rods(*synth("Always", 9), "--limits", "seconds=0.2")
    refused(done, "of 9 tasks could be made", "calls were stopped: ", " set_number: time limit")
    counts = json.loads(Path("made.jsonl.part").read_text().splitlines()[-1])
    assert counts["stopped"]["set_number: time limit"] >= 8
    assert any("set_number: calls stopped" in cause for cause in counts["funnel"])


def test_a_state_too_slow_to_read_is_told_before_the_work(rods: Any) -> None:
    done = rods(*synth("Slow"), "--limits", "state_seconds=0.2")
    told = "slow.jsonl: line 1: task 'a': reading the state took more than 0.2 s; keep less in it"
    refused(done, told)
    assert not Path("made.jsonl.part").exists() or not Path("made.jsonl").exists()


def started(*arguments: object) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    variables = module_variables() | {"PYTHONPATH": f"{HERE}:{HERE.parent / 'src'}"}
    command = [sys.executable, "-m", "rods", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=variables)


def test_a_slow_state_is_told_before_the_work() -> None:
    process = started(*synth("Slow", 1))
    assert process.stderr is not None
    told = process.stderr.readline()
    assert told.startswith("rods: the state takes 0.4 s to read; an attempt")
    process.send_signal(signal.SIGINT)  # the work itself takes minutes
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_an_interrupt_ends_a_call_that_hangs() -> None:
    process = started(*synth("Always"), "--limits", "seconds=600")
    part = Path("made.jsonl.part")
    while not part.exists() and process.poll() is None:
        pass
    try:
        process.wait(8)  # by then a call hangs
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "rods: interrupted. Continue with: " in told


@pytest.mark.slow
def test_training_on_tools_that_hang(rods: Any) -> None:
    """Asynchronous tools, nested state and a tool that hangs: two epochs, and variants."""
    own = ("--env", "stuck_tools:Gates", "--tasks", "gates.jsonl", "--preset", "tiny", "--json")
    settings = ("--set", "steps=4", "--set", "environment.limits.seconds=0.4")
    done = rods("train", "--run", "run", *own, *settings, "--set", "pool.seeds=4")
    assert done.code == 0, done
    assert json.loads(done.out)["epochs"] >= 2
    store = Store(Path("run"))
    try:
        assert {group.task_id for group in store.groups()}
    finally:
        store.close()
