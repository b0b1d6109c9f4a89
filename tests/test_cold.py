"""Tasks from tools and start states alone: as many as asked for, sound, and the same every time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from commandline import RODS, refused
from hostile import Hostile
from rods.envs.load import load_environment
from rods.files.tasks import read_tasks
from rods.profile import profile
from rods.synthesis.cold.known import Known, name_stems, score
from rods.synthesis.cold.ladder import BY_NAME, LADDER
from rods.task import Task
from scripted_endpoint import ScriptedEndpoint

ROOT = Path(__file__).parent.parent
CLINIC = "examples.clinic.tools:Clinic"
START = ROOT / "examples/clinic/start.yaml"
COUNT = 60


def made(rods: Any, out: Path, *more: Any, count: int = COUNT, workers: int = 1) -> list[Task]:
    done = rods(
        "synth", "--cold", "--env", CLINIC, "--start", START, "--count", count, "--out", out,
        "--workers", workers, *more,
    )  # fmt: skip
    assert done.code == 0, done.err
    return read_tasks(out)


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cold") / "made.jsonl"
    command = [RODS, "synth", "--cold", "--env", CLINIC, "--start", str(START), "--workers", "1"]
    subprocess.run([*command, "--count", str(COUNT), "--out", str(out)], check=True, cwd=ROOT)
    return out


def test_as_many_as_asked_for_pass_every_gate(whole: Path, rods: Any) -> None:
    tasks = read_tasks(whole)
    assert len({task.id for task in tasks}) == COUNT
    done = rods("verify", whole, "--env", CLINIC)
    assert done.code == 0 and f"{COUNT} of {COUNT} tasks pass every gate" in done.out
    human = rods("verify", whole, "--env", CLINIC, "--tasks", ROOT / "examples/clinic/tasks.yaml")
    assert human.code == 0, human.out


def test_the_ladder_is_evenly_mixed_and_kept(whole: Path) -> None:
    tasks, env = read_tasks(whole), load_environment(CLINIC)
    counts = Counter(task.note for task in tasks)
    assert counts.keys() == BY_NAME.keys()
    even = COUNT / len(LADDER)
    assert all(0.6 * even <= count <= 1.5 * even for count in counts.values()), counts
    for task in tasks:
        sizes = tuple(len(turn.ground_truth) for turn in task.turns)
        depth = profile(task, env).depth
        assert (sizes, depth) in BY_NAME[task.note].shapes, (task.note, sizes, depth)


def test_all_tools_are_called(whole: Path) -> None:
    called = {call.name for task in read_tasks(whole) for call in task.calls}
    env = load_environment(CLINIC)
    assert called == env.tools(read_tasks(whole)[0]).keys()


def test_any_number_of_workers_gives_the_same_file(whole: Path, rods: Any, tmp_path: Path) -> None:
    made(rods, tmp_path / "two.jsonl", workers=2)
    assert (tmp_path / "two.jsonl").read_bytes() == whole.read_bytes()
    made(rods, tmp_path / "other.jsonl", "--seed", 1)
    assert (tmp_path / "other.jsonl").read_bytes() != whole.read_bytes()


def test_a_killed_command_is_resumed(whole: Path, tmp_path: Path) -> None:
    out, part = tmp_path / "made.jsonl", tmp_path / "made.jsonl.part"
    command = [RODS, "synth", "--cold", "--env", CLINIC, "--start", str(START), "--workers", "1"]
    command += ["--count", str(COUNT), "--out", str(out)]
    begun = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    while not (part.exists() and b'"batches"' in part.read_bytes()):
        assert begun.poll() is None
        time.sleep(0.02)
    os.killpg(begun.pid, signal.SIGKILL)
    begun.wait()
    assert not out.exists() and part.exists()
    subprocess.run(command, check=True, cwd=ROOT)
    assert out.read_bytes() == whole.read_bytes() and not part.exists()


def test_a_corrupted_task_is_refused(whole: Path, rods: Any, tmp_path: Path) -> None:
    task = next(t for t in read_tasks(whole) if "book_appointment" in {c.name for c in t.calls})
    row = json.loads(task.model_dump_json())
    cases = {
        "execute: replay differs": row | {"record": ["0" * 16 for _ in row["record"]]},
        "ground: ungrounded argument": row
        | {"record": [], "turns": [turn | {"user": "please go on"} for turn in row["turns"]]},
    }
    for gate, case in cases.items():
        (tmp_path / "bad.jsonl").write_text(json.dumps(case) + "\n")
        done = rods("verify", tmp_path / "bad.jsonl", "--env", CLINIC)
        assert done.code == 1 and gate in done.out


def test_new_objects_are_a_start_state_too(rods: Any, tmp_path: Path) -> None:
    out = tmp_path / "made.jsonl"
    done = rods("synth", "--cold", "--env", CLINIC, "--count", 8, "--out", out, "--workers", 1)
    assert done.code == 0
    assert "no task calls these tools" in done.err and "pay_invoice" in done.err
    assert "these tools reach no tasks with" in done.err and "a chain of four" in done.err
    assert {c.name for t in read_tasks(out) for c in t.calls} == {"register_patient", "add_note"}


TOOLS = '''
import time

class Broken:
    """Nothing works."""

    def __init__(self) -> None:
        self.size: int = 1

    def first(self, name: str) -> dict:
        """Do a thing.

        Args:
            name: A name.
        """
        return {"error": f"no {name}"}

    def second(self) -> dict:
        """Do another thing."""
        raise ValueError("never")


class Slow:
    """Some tools never end."""

    def __init__(self) -> None:
        self.marks: dict = {"M1": {"title": "Oak"}, "M2": {"title": "Elm"}}

    def hang(self, title: str) -> dict:
        """Wait for a tree.

        Args:
            title: The tree.
        """
        time.sleep(3600)

    def rename(self, mark_id: str, title: str) -> dict:
        """Rename a tree.

        Args:
            mark_id: The mark.
            title: The new title.
        """
        self.marks[mark_id]["title"] = title
        return {"renamed": mark_id}

    def show(self, mark_id: str) -> dict:
        """Show a tree.

        Args:
            mark_id: The mark.
        """
        return {"title": self.marks[mark_id]["title"]}
'''


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "oddtools.py").write_text(TOOLS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_toolkit_in_which_nothing_succeeds(odd: Path, rods: Any) -> None:
    done = rods("synth", "--cold", "--env", "oddtools:Broken", "--count", 5, "--out", "out.jsonl")
    refused(done, "no call of any tool succeeds", "first: ", "second: ", "never")
    assert not list(odd.glob("out*"))


def test_tools_that_hang_are_left_out_and_the_end_is_told(odd: Path, rods: Any) -> None:
    done = rods(
        "synth", "--cold", "--env", "oddtools:Slow", "--count", 5000, "--out", "out.jsonl",
        "--workers", 1,
    )  # fmt: skip
    assert done.code == 0
    tasks = read_tasks(odd / "out.jsonl")
    assert {c.name for t in tasks for c in t.calls} == {"rename", "show"}
    lines = done.err.splitlines()
    assert any("hang (" in line and "more than 1 s" in line for line in lines)
    (last,) = [line for line in lines if "no more could be made" in line]
    assert f"out.jsonl: {len(tasks)} of 5000 tasks" in last


@pytest.mark.parametrize(
    ("start", "named"),
    [
        ({"Clinc": {}}, ("no class 'Clinc'", "there are Clinic")),
        ({"Clinic": {"patient": {}}}, ("Clinic", "'patient'", "patients")),
        ({"Clinic": 3}, ("Clinic: must be",)),
        ([], ("must be one start state",)),
        ("text", ("must be",)),
        ([{"Clinic": {"vets": {}}}, {"Clinic": {"vet": {}}}], ("start 2", "'vet'")),
    ],
)
def test_an_unusable_start_state_is_named(
    rods: Any, tmp_path: Path, start: Any, named: tuple[str, ...]
) -> None:
    for name, text in (("s.yaml", yaml.safe_dump(start)), ("s.json", json.dumps(start))):
        path = tmp_path / name
        path.write_text(text)
        done = rods(
            "synth", "--cold", "--env", CLINIC, "--start", path, "--count", 3,
            "--out", tmp_path / "out.jsonl",
        )  # fmt: skip
        refused(done, str(path), *named)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--start", "s.yaml"), "--start: goes with --cold"),
        (("--cold", "--tasks", "t.yaml"), "--tasks: needs seed tasks"),
        (("--cold", "--category", "base"), "--category: needs seed tasks"),
        (("--cold",), "--cold: name your own classes or servers"),
        (("--env", CLINIC), "--cold"),
        (("--cold", "--env", CLINIC, "--start", "none.yaml"), "none.yaml: cannot be read"),
    ],
)
def test_options_that_do_not_go_together(
    rods: Any, tmp_path: Path, options: tuple[str, ...], named: str
) -> None:
    refused(rods("synth", *options, "--count", 3, "--out", tmp_path / "out.jsonl"), named)


@pytest.mark.slow
@pytest.mark.parametrize("stages", [(), ("ground",), ("execute", "judge")])
def test_a_model_does_the_stages_after_the_plan(
    rods: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stages: tuple[str, ...]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    file = tmp_path / "endpoint.yaml"
    named = [option for stage in stages for option in ("--stage", stage)]
    with ScriptedEndpoint(Hostile(seed=3, faults=0, lies=0)) as server:
        file.write_text(json.dumps({"url": server.url, "model": "scripted", "parallel": 2}))
        out = tmp_path / "made.jsonl"
        llm = ("--backend", "llm", "--endpoint", file, "--no-rewrite", *named)
        tasks = made(rods, out, *llm, count=4)
    assert {task.origin for task in tasks} == {"llm"}
    done = stages or ("execute", "ground", "judge")
    assert all(task.lineage["stages"] == list(done) for task in tasks)
    assert rods("verify", out, "--env", CLINIC).code == 0
    refused(
        rods("synth", "--cold", "--env", CLINIC, "--count", 1, "--out", out, "--backend", "llm",
             "--endpoint", file, "--stage", "plan"),
        "--stage plan: with --cold a program plans",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("parameter", "field", "suits"),
    [
        ("entityNames", "name", True),
        ("entityName", "name", True),
        ("entityNames", "entityType", False),
        ("entity", "name", False),
        ("entity_id", "id", True),
    ],
)
def test_the_name_of_a_thing_suits_a_parameter_of_that_name(
    parameter: str, field: str, suits: bool
) -> None:
    value = Known("Ann", field, name_stems("entities"))
    assert (score("remove_all", parameter, value) > 1) == suits
