"""Commands on files: what cannot be used is one line that names it, never a traceback."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from accepted import accepted
from commandline import RODS, Done, refused
from doubles import make_task
from reference.commands import names
from rods.cli.commands import app
from rods.envs.bfcl_data import benchmark_tasks, split
from rods.files.tasks import read_tasks, write_tasks

COMMANDS = [str(c.name) for c in app.registered_commands]
HINT = "pip install --no-deps bfcl-eval=="
# Before the command: bfcl-eval is not installed, as far as anything can tell.
WITHOUT_BENCHMARK = """
import importlib.machinery, importlib.metadata, sys
find, version = importlib.machinery.PathFinder.find_spec, importlib.metadata.version
def absent(name, *rest):
    return None if name.split(".")[0] == "bfcl_eval" else find(name, *rest)
def unknown(name):
    if name == "bfcl-eval":
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
importlib.machinery.PathFinder.find_spec, importlib.metadata.version = absent, unknown
from rods.cli import main
sys.argv = ["rods", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize("command", ["score", "verify"])
def test_unreadable_files(rods, tmp_path: Path, command: str) -> None:
    path = tmp_path / "file.jsonl"
    refused(rods(command, path), str(path), "No such file")
    path.write_bytes(b'{"task": "\xe9"}\n')
    refused(rods(command, path), str(path), "not UTF-8 at byte 10")
    path.write_text('\n{"task": "multi_turn_ba')
    refused(rods(command, path), f"{path}: line 2")
    assert [p.name for p in tmp_path.iterdir()] == ["file.jsonl"]


def test_files_of_another_encoding(rods, tmp_path: Path) -> None:
    path, out = tmp_path / "file.jsonl", tmp_path / "out"
    commands = [("score", path), ("verify", path), ("profile", path)]
    commands += [("export", path, "--format", form, "--out", out) for form in ("bfcl", "trl")]
    for content, message in (
        ('{"task": "multi_turn_base_1"}'.encode("utf-16"), "byte order mark of UTF-16"),
        (b'{"task": "multi_turn_base_1", "task": "multi_turn_base_2"}', "'task' appears twice"),
    ):
        path.write_bytes(content)
        for command in commands:
            refused(rods(*command), str(path), message)
    assert [p.name for p in tmp_path.iterdir()] == ["file.jsonl"]


def test_names_that_no_file_can_have(rods) -> None:
    refused(rods("verify", "a" * 5_000), "File name too long")
    refused(rods("profile", "a" * 5_000), "no such file and no task of that id")


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("[]", "task"),
        ('{"task": ["multi_turn_base_0"], "turns": []}', "task"),
        ('{"task": "multi_turn_base_0"}', "turns"),
        pytest.param('{"task": ' + "1" * 5000 + "}", "line 1", id="a long number"),
        pytest.param("[" * 100_000, "not JSON", id="deep"),
    ],
)
def test_score_names_the_field(rods, tmp_path: Path, line: str, field: str) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(line)
    refused(rods("score", path), f"{path}: line 1", field)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"category": "a\nb"}, "category"),
        ({"turns": [{"user": 3}]}, "turns.0.user"),
        ({"extra": 1}, "extra"),
        ({"start": []}, "start"),
    ],
)
def test_verify_names_the_field(rods, tmp_path: Path, change: dict, field: str) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(json.dumps({**make_task("x").model_dump(mode="json"), **change}))
    refused(rods("verify", path), f"{path}: line 1: {field}")


def test_score_says_what_it_saw(rods, tmp_path: Path) -> None:
    path, task = tmp_path / "file.jsonl", benchmark_tasks()["multi_turn_base_0"]
    gold = [[str(c) for c in turn.ground_truth] for turn in task.turns]
    rows = [{"task": task.source, "turns": t} for t in (gold, gold[:-1], [["ls("]])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = [json.loads(line) for line in rods("score", path, "--json").out.splitlines()]
    assert [row["complete"] for row in found] == [True, False, False]
    assert found[0]["progress"] == 1.0 > found[1]["progress"]
    assert [row["ending"] for row in found] == ["answered", "answered", "format failures"]
    *_, sums, stopped = rods("score", path).out.splitlines()
    assert sums == "3 episodes: mean progress 0.583, 1 complete"
    assert stopped == "calls stopped: 1 not calls"


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_synth_makes_tasks_that_pass(rods, tmp_path: Path, workers: int) -> None:
    one, two = tmp_path / "new" / "one.jsonl", tmp_path / "two.jsonl"
    order = ("synth", "--count", 4, "--seed", 3)
    assert rods(*order, "--out", one, "--workers", workers).code == 0
    assert rods(*order, "--out", two, "--workers", 1).code == 0
    assert one.read_bytes() == two.read_bytes()
    assert len({task.id for task in read_tasks(one)}) == 4
    done = rods("verify", one, "--json")
    assert (done.code, json.loads(done.out)) == (0, {"tasks": 4, "refused": {}})
    assert rods("verify", one).out == "4 of 4 tasks pass every gate\n"


def test_synth_of_one_category(rods, tmp_path: Path) -> None:
    out = tmp_path / "tasks.jsonl"
    order = ("synth", "--count", 2, "--out", out, "--workers", 1)
    assert rods(*order, "--category", "miss_param").code == 0
    assert {task.category for task in read_tasks(out)} == {"miss_param"}
    before = out.read_bytes()
    done = rods("synth", "--count", 1, "--out", out, "--category", "tool")
    refused(done, "--category tool", "miss_param")
    assert out.read_bytes() == before


@pytest.mark.parametrize("out", ["folder", "file/tasks.jsonl"])
def test_an_unwritable_file_leaves_nothing(rods, tmp_path: Path, out: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    refused(rods("synth", "--count", 1, "--out", tmp_path / out), str(tmp_path / out))
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder"]


def test_verify_refuses_with_exit_1(rods, tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    held_out = next(t for n, t in benchmark_tasks().items() if split()[n] == "test")
    write_tasks(path, [held_out])
    done = rods("verify", path, "--json")
    wanted = {"tasks": 1, "refused": {held_out.id: "critique: near a held-out task"}}
    assert (done.code, json.loads(done.out), done.err) == (1, wanted, "")
    assert f"{held_out.id}: critique: near a held-out task" in rods("verify", path).out


@pytest.mark.parametrize("command", COMMANDS)
def test_help(rods, command: str) -> None:
    done = rods(command, "--help")
    assert done.code == 0
    assert f"rods {command} [OPTIONS]" in " ".join(done.out.split())


@pytest.mark.parametrize("command", names())
def test_help_ends_with_an_example_that_is_accepted(
    rods, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = rods(*command.split(), "--help").out
    example = shown.rstrip().splitlines()[-1].strip()
    assert example.startswith(f"Example: rods {command}".rstrip() + " ")
    monkeypatch.chdir(tmp_path)
    accepted(monkeypatch, *shlex.split(example)[2:])


def test_all_commands_are_there(rods) -> None:
    assert set(COMMANDS) >= {"train", "report", "score", "synth", "verify", "doctor"}
    *shown, _, _ = rods("--help").out.splitlines()
    assert all(any(line.startswith(f"  {name} ") for line in shown) for name in COMMANDS)
    assert not [line for line in shown if line.endswith("...") and "Usage" not in line], "too long"


@pytest.mark.parametrize(
    "args", [["synth", "--count", "1", "--out", "x.jsonl"], ["verify", "t.jsonl"], ["score", "t"]]
)
def test_without_the_benchmark(tmp_path: Path, args: list[str]) -> None:
    write_tasks(tmp_path / "t.jsonl", [make_task("x")])
    (tmp_path / "t").write_text("{}\n")
    code = [sys.executable, "-c", WITHOUT_BENCHMARK, *args]
    done = subprocess.run(code, capture_output=True, text=True, cwd=tmp_path)
    refused(Done(done.returncode, done.stdout, done.stderr), HINT)
    assert not (tmp_path / "x.jsonl").exists()


def test_doctor_without_the_benchmark(tmp_path: Path) -> None:
    code = [sys.executable, "-c", WITHOUT_BENCHMARK, "doctor"]
    done = subprocess.run(code, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "")
    assert re.search(rf"BAD bfcl-eval: .*{re.escape(HINT)}", done.stdout)


def test_the_installed_command() -> None:
    done = subprocess.run([RODS, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"rods \d+\.\d+\.\d+\S*\n", done.stdout)


def test_profiles_of_a_file_and_of_pairs(rods, tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    two = list(benchmark_tasks().values())[:2]
    write_tasks(path, two)
    rows = [json.loads(line) for line in rods("profile", path, "--json").out.splitlines()]
    assert [row["task"] for row in rows] == [task.source for task in two]
    assert all(row["depth"] >= 1 and row["calls"] for row in rows)
    assert "depth: " in rods("profile", two[0].source).out
    same = rods("profile", two[0].source, f"{path}:{two[0].id}", "--json")
    assert json.loads(same.out)["distance"] == 0
    other = rods("profile", f"{path}:{two[0].source}", two[1].source)
    assert other.out.splitlines()[-1].startswith("distance 0.")
    assert "! " in other.out
    refused(rods("profile", path, two[0].source), "name one task each")
    refused(rods("profile", "no_such_task"), "no_such_task: no such file")
    refused(rods("profile", f"{path}:nothing"), "holds no task 'nothing'")
