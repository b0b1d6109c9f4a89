"""A person's verdicts: kept beside the tasks, applied again, and respected when tasks are made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from commandline import Done, refused
from rods.files.tasks import read_tasks
from rods.review import read_review

ROOT = Path(__file__).parent.parent
CLINIC = "examples.clinic.tools:Clinic"
COUNT = 12


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rods: Any) -> Path:
    """With tasks, and a review of which nothing is read."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(tmp_path)
    assert made(rods).code == 0
    done = rods("review", "made.jsonl", "--env", CLINIC)
    assert done.code == 0 and f"made.review.yaml: {COUNT} tasks to read" in done.out
    return tmp_path


def made(rods: Any, count: int = COUNT) -> Done:
    return rods(
        "synth", "--cold", "--env", CLINIC, "--start", ROOT / "examples/clinic/start.yaml",
        "--count", count, "--out", "made.jsonl", "--workers", 1,
    )  # fmt: skip


def again(rods: Any, *more: str) -> tuple[Done, dict[str, Any]]:
    done = rods("review", "made.jsonl", "--env", CLINIC, "--json", *more)
    return done, json.loads(done.out)


def entry(text: str, task: str) -> str:
    """The lines of one entry."""
    return next(part for part in re.split(r"\n\n(?=- task)", text) if f"- task: {task}" in part)


def change(folder: Path, task: str, *changes: tuple[str, str]) -> None:
    path = folder / "made.review.yaml"
    text = path.read_text()
    old = new = entry(text, task)
    for before, after in changes:
        assert before in new
        new = new.replace(before, after, 1)
    path.write_text(text.replace(old, new))


def test_verdicts_are_applied_and_kept(folder: Path, rods: Any) -> None:
    first, second, third, *others = read_tasks(folder / "made.jsonl")
    change(folder, first.id, ("verdict:", "verdict: reject # dull"))
    change(folder, second.id, ("verdict:", "verdict: accept"), ("note:", "note: a good one"))
    words = third.turns[0].user.split(" ")[0]
    change(folder, third.id, (f"- user: {words}", f"- user: Good morning. {words}"))
    written = (folder / "made.review.yaml").read_bytes()
    done, counts = again(rods)
    assert done.code == 0
    expected = {"accepted": 1, "changed": 1, "rejected": 1, "not read": COUNT - 2, "added": 0}
    assert counts == expected | {"tasks": COUNT - 1, "refused": {}}
    kept = read_tasks(folder / "made.reviewed.jsonl")
    assert first not in kept and kept[0] == second and kept[2:] == others
    assert kept[1].turns[0].user == f"Good morning. {third.turns[0].user}"
    assert kept[1].lineage["edited"] == third.id and kept[1].record == third.record
    assert (folder / "made.review.yaml").read_bytes() == written
    assert again(rods, "--accepted")[1]["tasks"] == 1
    assert read_tasks(folder / "made.reviewed.jsonl") == [second]
    assert rods("verify", "made.reviewed.jsonl", "--env", CLINIC).code == 0


def test_a_change_that_a_gate_refuses_is_named_and_left_out(folder: Path, rods: Any) -> None:
    tasks = read_tasks(folder / "made.jsonl")
    task = next(t for t in tasks if any(c.arguments for c in t.turns[0].ground_truth))
    call = next(c for c in task.turns[0].ground_truth if c.arguments)
    value = next(iter(call.arguments.values()))
    change(folder, task.id, (f"={value!r}", "='Nobody'"))
    done, counts = again(rods)
    assert done.code == 1 and counts["tasks"] == COUNT - 1
    assert counts["refused"].keys() == {task.id}
    done = rods("review", "made.jsonl", "--env", CLINIC)
    assert f"made.review.yaml: task {task.id}: the change is refused: " in done.out


def test_tasks_that_are_made_later_are_added(folder: Path, rods: Any) -> None:
    first = read_tasks(folder / "made.jsonl")[0]
    change(folder, first.id, ("verdict:", "verdict: accept"), ("note:", "note: # mine"))
    before = (folder / "made.review.yaml").read_text()
    assert made(rods, COUNT + 4).code == 0
    _, counts = again(rods)
    assert counts["added"] == 4 and counts["accepted"] == 1
    after = (folder / "made.review.yaml").read_text()
    assert (
        after.startswith(before.rstrip("\n")) and len(read_review(Path("made.review.yaml"))) == 16
    )


def test_rejected_tasks_are_not_made_again(folder: Path, rods: Any) -> None:
    before = read_tasks(folder / "made.jsonl")
    gone = [before[0], before[3]]
    for task in gone:
        change(folder, task.id, ("verdict:", "verdict: reject"))
    assert made(rods).code == 0
    after = read_tasks(folder / "made.jsonl")
    calls = {str(task.calls) for task in gone}
    assert len(after) == COUNT and not calls & {str(task.calls) for task in after}
    assert [t for t in before if t not in gone] == [t for t in after if t in before]
    again(rods)
    assert {t.id for t in gone} <= read_review(Path("made.review.yaml")).keys()


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("verdict:", "verdict: maybe", "verdict: Input should be 'accept' or 'reject'"),
        ("turns:", "turn:", "turn"),
        ("- task:", "- task: x\n  task:", "appears twice"),
        ("  verdict:", " verdict:", "not YAML"),
    ],
)
def test_an_unusable_review_is_named(
    folder: Path, rods: Any, before: str, after: str, named: str
) -> None:
    change(folder, read_tasks(folder / "made.jsonl")[1].id, (before, after))
    for done in (rods("review", "made.jsonl", "--env", CLINIC), made(rods)):
        refused(done, "made.review.yaml", "line ", named)


def test_calls_that_cannot_be_read_are_named(folder: Path, rods: Any) -> None:
    task = read_tasks(folder / "made.jsonl")[2]
    name = task.calls[0].name
    change(folder, task.id, (f"{name}(", "no_such_tool("))
    refused(
        rods("review", "made.jsonl", "--env", CLINIC),
        "made.review.yaml", f"task {task.id}: turns.0.calls.0", "no_such_tool",
    )  # fmt: skip


def test_a_file_without_tasks_is_refused(rods: Any, tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("")
    refused(rods("review", tmp_path / "none.jsonl"), "none.jsonl: no tasks")
