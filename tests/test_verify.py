"""Tasks in files are admitted again only if they pass every gate."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from commandline import refused
from rods.envs.bfcl_data import CATEGORIES, benchmark_tasks, split
from rods.errors import UserError
from rods.files.tasks import read_tasks, write_tasks
from rods.synthesis.critique import verify_tasks
from rods.synthesis.inputs import benchmark_inputs
from rods.task import Task
from test_synthesis import variants


@cache
def admitted() -> tuple[Task, ...]:
    return tuple(variants())[::3]


def altered(task: Task, turn: int, **fields: Any) -> Task:
    """The task with another turn, or with one more at the end."""
    turns = [t.model_dump() for t in task.turns] + [{"user": ""}] * (turn == len(task.turns))
    turns[turn] |= fields
    return Task.model_validate(task.model_dump() | {"turns": turns})


def outcomes(path: Path, *tasks: Task) -> dict[str, str]:
    write_tasks(path, tasks)
    return dict(verify_tasks(read_tasks(path), benchmark_inputs()))


def test_what_synthesis_made_passes(tmp_path: Path) -> None:
    path = tmp_path / "made" / "tasks.jsonl"
    assert outcomes(path, *admitted()) == {task.id: "" for task in admitted()}
    assert read_tasks(path) == list(admitted())
    assert {task.category for task in admitted()} == set(CATEGORIES)


def test_the_gate_is_named(tmp_path: Path) -> None:
    seed, path = benchmark_inputs().seeds[0], tmp_path / "tasks.jsonl"
    stranger = next(t for name, t in benchmark_tasks().items() if split()[name] == "test")
    task = next(
        t.model_copy(update={"record": ()})
        for t in variants()
        if "GorillaFileSystem" in t.classes
        and len(t.turns) < 5
        and any(call.arguments for call in t.turns[0].ground_truth)
        and "pwd" not in {call.name for call in t.calls}
    )
    unlike = next(t for t in benchmark_inputs().seeds if "GorillaFileSystem" not in t.classes)
    more = altered(task, len(task.turns), user="where am I", ground_truth=[{"name": "pwd"}])
    other = altered(seed, 0, user="other").model_copy(update={"parent": seed.id})
    cases = {
        "ground: ungrounded argument": altered(task, 0, user="do what I mean"),
        "critique: near a held-out task": altered(stranger, 0, user="do what I mean"),
        "critique: near its parent": other,
        "plan: profile differs": more.model_copy(update={"parent": unlike.id}),
        "": more.model_copy(update={"parent": ""}),
    }
    for gate, case in cases.items():
        assert outcomes(path, case) == {case.id: gate}
    assert outcomes(path, task, task) == {task.id: "critique: duplicate"}
    assert outcomes(path) == {}


def test_the_parent_may_stand_in_the_same_file(tmp_path: Path) -> None:
    parent = admitted()[0].model_copy(update={"parent": ""})
    child = altered(parent, 0, user=parent.turns[0].user + " please")
    child = child.model_copy(update={"parent": parent.id})
    assert outcomes(tmp_path / "tasks.jsonl", child, parent) == {
        parent.id: "",
        child.id: "critique: near its parent",
    }


@pytest.mark.parametrize("mark", ["\n", "\r", "\x0b", "\x1c", "\x85", "\u2028", "é", "漢", '"\\'])
def test_any_text_survives_the_file(tmp_path: Path, mark: str) -> None:
    task = altered(admitted()[0], 0, user=f"one{mark}two")
    write_tasks(tmp_path / "tasks.jsonl", [task, task])
    assert read_tasks(tmp_path / "tasks.jsonl") == [task, task]


def test_tasks_may_begin_with_a_mark_or_stand_in_a_list(tmp_path: Path) -> None:
    tasks = list(admitted()[:2])
    lines = [task.model_dump_json() for task in tasks]
    for name, text in (
        ("a.jsonl", "".join(f"\ufeff{line}\r\n" for line in lines)),
        ("a.json", f"[{','.join(lines)}]"),
        ("a.jsonl", "\n".join(lines)),
    ):
        (tmp_path / name).write_bytes(text.encode())
        assert read_tasks(tmp_path / name) == tasks


def test_what_is_read_as_another_task_is_refused(tmp_path: Path) -> None:
    path, good = tmp_path / "tasks.jsonl", admitted()[0].model_dump_json()
    for line, message in (
        (good[:-1] + ',"turns":[]}', "the key 'turns' appears twice"),
        (good.replace('"born":3', '"born":1e999'), "born: not a finite number"),
        (good.replace('"note":"', '"note":"\\ud800'), r"note: '\\ud800' is half of a character"),
        (good.replace('"start":{', '"start":{"a":"\\ud800",'), r"start.a: '\\ud800' is half"),
        (good.replace('"start":{', '"start":{"a":' + "[" * 70 + "]" * 70 + ","), "nested deeper"),
    ):
        path.write_text(f"{good}\n{line}\n", encoding="utf-8")
        with pytest.raises(UserError, match=f"tasks.jsonl: line 2: .*{message}"):
            read_tasks(path)


def test_a_file_without_tasks_is_refused(rods, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    refused(rods("verify", empty), f"{empty}: no tasks")


def test_an_unreadable_line_is_named(tmp_path: Path) -> None:
    path, good = tmp_path / "tasks.jsonl", admitted()[0].model_dump_json()
    lines = {
        "{": "line 2: ",
        "[]": "line 2: ",
        "{}": "line 2: category",
        good.replace('"category":"base"', '"category":" base"'): "line 2: category",
        good.replace('"classes":["', '"classes":[7,"'): "line 2: classes.0",
        good.replace('"born":3', '"born":"soon"'): "line 2: born",
        good.replace('"born":3', '"age":1'): "line 2: age",
    }
    for line, where in lines.items():
        path.write_text(f"{good}\n{line}\n", encoding="utf-8")
        with pytest.raises(UserError, match=f"tasks.jsonl: {where}"):
            read_tasks(path)
    path.write_bytes(b"\xff\n")
    with pytest.raises(UserError, match=r"tasks\.jsonl: not UTF-8"):
        read_tasks(path)
    with pytest.raises(UserError, match=r"none\.jsonl: "):
        read_tasks(tmp_path / "none.jsonl")
