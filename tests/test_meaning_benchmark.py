"""benchmarks/meaning.py on the clinic's tasks, as a person runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import meaning
import planted_reads
from rods.envs.load import load_environment
from rods.envs.python import PythonEnvironment
from rods.envs.task_file import read_task_file
from rods.files.tasks import write_tasks
from rods.task import Task

CLINIC, SEEDS = "examples.clinic.tools:Clinic", Path("examples/clinic/tasks.yaml").resolve()


def clinic_tasks() -> list[Task]:
    env = load_environment(CLINIC)
    assert isinstance(env, PythonEnvironment)
    return read_task_file(SEEDS, env)


def run(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    monkeypatch.setattr(sys, "argv", ["meaning.py", *map(str, args)])
    return meaning.main()


def test_the_clinic(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, out = tmp_path / "t.jsonl", tmp_path / "results.json"
    seeds = clinic_tasks()
    rex = next(task for task in seeds if task.source == "two-dogs-named-rex")
    words = "Look up all of Rex Lund's appointments, and cancel and cancel again what you find."
    turns = [turn.model_copy(update={"user": words}) for turn in rex.turns]
    write_tasks(file, [rex.model_copy(update={"turns": tuple(turns)}), *seeds[:3]])
    options = (file, "--env", CLINIC, "--tasks", SEEDS, "--out", out)
    assert run(monkeypatch, *options) == 0
    table = capsys.readouterr().out.splitlines()
    found = json.loads(out.read_text())
    assert found["sets"].keys() == {"seed tasks", "t.jsonl"}
    assert "book_appointment.vet, book_appointment.slot" in found["records"]
    human, made = (rows["figures"] for rows in found["sets"].values())
    assert (human["tasks"], made["tasks"]) == (12, 4)
    assert human["tasks with mixed records"] == human["tasks with undone steps"] == 0
    assert [line.split("  ")[0].strip() for line in table[1:]] == list(human)
    assert run(monkeypatch, *options, "--json") == 0
    assert json.loads(capsys.readouterr().out) == found


def test_unusable_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    empty, other = tmp_path / "empty.jsonl", tmp_path / "other.jsonl"
    empty.write_text("")
    write_tasks(other, [clinic_tasks()[0].model_copy(update={"classes": ("Bank",)})])
    clinic = ("--env", CLINIC, "--tasks", SEEDS)
    for args, named in (
        ((tmp_path / "none.jsonl", *clinic), "none.jsonl"),
        ((empty, *clinic), "empty.jsonl"),
        ((other, *clinic), "Bank"),
        ((other, "--env", CLINIC), "--tasks"),
        ((other, *clinic, "--category", "none"), "--category none"),
    ):
        assert run(monkeypatch, *args) == 2
        error = capsys.readouterr().err
        assert named in error and len(error.splitlines()) == 1


def test_planted_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "t.jsonl"
    write_tasks(file, clinic_tasks())
    options = (file, "--env", CLINIC, "--tasks", SEEDS, "--each", 3, "--verbose")
    monkeypatch.setattr(sys, "argv", ["planted_reads.py", *map(str, options)])
    planted_reads.main()
    lines = capsys.readouterr().out.splitlines()
    rows = [line.rsplit(maxsplit=4) for line in lines if line.endswith(" found")]
    assert [row[0] for row in rows] == [*planted_reads.KINDS]
    planted, found = (sum(int(row[column]) for row in rows) for column in (1, 3))
    assert planted > 0 and len(lines) == len(rows) + planted - found
