"""`rods envs check` passes the example and tells each broken class its own fault."""

import json
from pathlib import Path
from typing import Any

import pytest

from commandline import Done, refused
from rods.envs.calls import CallLimits
from rods.envs.check import Checked, check
from rods.envs.load import load_environment
from rods.envs.python import PythonEnvironment

ROOT = Path(__file__).parent.parent
MISTAKES = {
    "NoDocs": "has no docstring",
    "Unserialisable": "the state cannot be serialised",
    "Shared": "log is a mutable attribute of the class",
    "Random": "draws a random number: the module random, without a seed",
    "Entropy": "draws a random number: os.urandom",
    "Clock": "reads the clock: date.today",
    "Now": "reads the clock: datetime.now",
    "Uncounted": "gives another result in a second session",
    "HashOrder": "gives another result in another process",
    "ReadThatWrites": "is named like a read and changes the state",
    "Writes": "writes a file",
    "Shell": "uses subprocess.Popen",
    "Exits": "process ended",
    "Hangs": "time limit",
    "Eats": "memory limit",
    "Prints": "prints 'a line'",
    "SlowState": "reading the state took more than 0.5 s",
}


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / "tests"))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_broken_class_is_told_its_fault(name: str) -> None:
    made = checked(name)
    told = [problem for found in made.problems.values() for problem in found]
    assert any(MISTAKES[name] in problem for problem in told), told
    assert not list(ROOT.glob("written by*"))
    if name == "Exits":
        assert made.problems["live"] == []


def test_a_sound_class_passes() -> None:
    made = checked("Sound")
    assert made.problems == {"add": [], "name": []} and not made.untried and not made.notes


@pytest.mark.parametrize("name", ["Raises", "Recurses"])
def test_a_method_of_which_no_call_succeeds_is_not_tried(name: str, rods: Any) -> None:
    made = checked(name)
    assert made.problems == {"act": []}
    assert made.untried["act"].startswith("no call succeeded: Error during execution: ")
    done = rods("envs", "check", f"broken_classes:{name}")
    assert done.code == 0 and "--  act  not tried: no call succeeded" in done.out
    assert done.out.endswith("0 of 1 methods pass, 1 not tried\n")


def test_what_is_slow_is_blamed() -> None:
    """The state and not a method, and a method that is slow once is not blamed at all."""
    made = checked("SlowState")
    assert made.problems["act"] == [] and list(made.untried) == ["act"]
    (fault,) = made.problems["SlowState"]
    assert "raise --limits state_seconds" in fault
    assert checked("SlowState", state_seconds=20).problems == {"act": []}


def test_probes_fit_the_schema() -> None:
    """Formats, patterns, bounds and nested records: each method refuses all other values."""
    made = checked("Picky")
    assert not made.untried and not any(made.problems.values()), made


def test_ids_of_a_large_state_are_tried() -> None:
    assert not checked("Deep").untried


def test_a_ground_truth_tries_its_tools(tmp_path: Path, rods: Any) -> None:
    """In the state in which it calls them, although no probe succeeds."""
    steps = ["open_door(code='a-1')", "enter(code='a-1')"]
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps({"id": "a", "turns": [{"user": "Go in.", "calls": steps}]}))
    done = rods("envs", "check", "broken_classes:Doors", "--tasks", path)
    assert done.code == 0 and "2 of 2 methods pass, 1 ground truths played" in done.out
    bare = rods("envs", "check", "broken_classes:Doors")
    assert "--  enter" in bare.out and "1 of 2 methods pass, 1 not tried" in bare.out


def test_a_seed_makes_random_numbers_usable() -> None:
    assert checked("Seeded").problems == {"act": []}


def checked(name: str, **limits: float) -> Checked:
    env = load_environment(f"broken_classes:{name}")
    assert isinstance(env, PythonEnvironment)
    return check(env, (), CallLimits(**{"state_seconds": 0.5, **limits}))


def test_the_example_passes(rods: Any) -> None:
    done: Done = rods(
        "envs", "check", "examples.clinic.tools:Clinic",
        "--tasks", "examples/clinic/tasks.yaml", "--json",
    )  # fmt: skip
    assert done.code == 0, done
    told = json.loads(done.out)
    assert told["tasks"] == 12 and len(told["methods"]) == 9
    assert not any(told["methods"].values())


def test_exit_codes(rods: Any) -> None:
    done: Done = rods("envs", "check", "broken_classes:Exits")
    assert done.code == 1
    assert "BAD act" in done.out and "ok  live" in done.out and "1 of 2 methods pass" in done.out
    shared = rods("envs", "check", "broken_classes:Shared")  # a fault of the class is not counted
    assert "BAD Shared" in shared.out and "0 of 1 methods pass" in shared.out
    refused(
        rods("envs", "check", "broken_classes:Exits", "--limits", "second=1"), "--limits second"
    )
    refused(rods("envs", "check", "broken_classes:Exits", "--limits", "seconds=x"), "seconds: ")
    refused(rods("envs", "check", "broken_classes:NoHint"), "NoHint.act", "'what'", "no type hint")
    refused(rods("envs", "check", "broken_classes:Nonesuch"), "no class 'Nonesuch'")
    refused(rods("envs", "check", "no.such.module:A"), "cannot be imported")
    refused(rods("envs", "check", "nonsense"), "package.module:Class")
    refused(rods("envs", "check", "bfcl"), "not tools of your own")
