"""`rods envs check` passes the example and tells each broken class its own fault."""

import json
from pathlib import Path
from typing import Any

import pytest

from commandline import Done, refused
from rods.envs.check import check
from rods.envs.load import load_environment

ROOT = Path(__file__).parent.parent
MISTAKES = {
    "NoDocs": "has no docstring",
    "Unserialisable": "the state cannot be serialised",
    "Shared": "log is a mutable attribute of the class",
    "Random": "gives another result in a second session",
    "Clock": "gives another result in another process",
    "HashOrder": "gives another result in another process",
    "ReadThatWrites": "is named like a read and changes the state",
    "Writes": "writes a file",
    "Shell": "uses subprocess.Popen",
    "Exits": "process ended",
    "Hangs": "time limit",
    "Eats": "memory limit",
    "Prints": "prints",
}


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / "tests"))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_broken_class_is_told_its_fault(name: str) -> None:
    problems = check(load_environment(f"broken_classes:{name}"))  # type: ignore[arg-type]
    told = [problem for found in problems.values() for problem in found]
    assert any(MISTAKES[name] in problem for problem in told), told
    assert not list(ROOT.glob("written by*"))
    if name == "Exits":
        assert problems["live"] == []


@pytest.mark.parametrize("name", ["Sound", "Raises", "Recurses"])
def test_a_sound_class_passes(name: str) -> None:
    problems = check(load_environment(f"broken_classes:{name}"))  # type: ignore[arg-type]
    assert problems and not any(problems.values()), problems


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
    refused(rods("envs", "check", "broken_classes:NoHint"), "NoHint.act", "'what'", "no type hint")
    refused(rods("envs", "check", "broken_classes:Nonesuch"), "no class 'Nonesuch'")
    refused(rods("envs", "check", "no.such.module:A"), "cannot be imported")
    refused(rods("envs", "check", "nonsense"), "package.module:Class")
    refused(rods("envs", "check", "bfcl"), "not a Python class of your own")
