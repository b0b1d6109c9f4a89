"""One format of tasks: hand-written files and those of `rods synth`, read by every command."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from commandline import Done, refused
from rods.envs.bfcl_data import benchmark_tasks
from rods.envs.load import load_environment
from rods.envs.task_file import read_task_file
from rods.errors import UserError
from rods.files.tasks import read_tasks, write_tasks
from rods.task import Task

SHOP = '''
class Shop:
    """A small shop."""

    def __init__(self) -> None:
        self.orders: dict[str, dict] = {}

    def get_order(self, order_id: str) -> dict:
        """Get an order.

        Args:
            order_id: Its id.
        """
        return self.orders[order_id]

    def set_note(self, order_id: str, note: str) -> dict:
        """Put a note on an order.

        Args:
            order_id: Its id.
            note: The text.
        """
        self.orders[order_id]["note"] = note
        return self.orders[order_id]
'''
POLICY = "Read an order before you change it."
ENV = ("--env", "own_shop:Shop")


def row(number: int, **more: Any) -> dict[str, Any]:
    order = f"W{1000 + number}"
    calls = [f"get_order('{order}')", f"set_note(order_id='{order}', note='gift {number}')"]
    user = f"Look at order {order} and put the note 'gift {number}' on it."
    start = {"Shop": {"orders": {order: {"total": 40 + number}}}}
    return {"id": f"t{number}", "start": start, "turns": [{"user": user, "calls": calls}], **more}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = [{"system": POLICY}, *map(row, range(6))]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    write_tasks(tmp_path / "stored.jsonl", read("own.jsonl"))
    return tmp_path


def read(name: str) -> list[Task]:
    return read_task_file(Path(name), load_environment("own_shop:Shop"))


def test_a_task_that_was_written_is_read_as_the_same_task(shop: Path) -> None:
    assert read("stored.jsonl") == read("own.jsonl")
    mixed = shop / "mixed.jsonl"
    lines = (shop / "stored.jsonl").read_text().splitlines()[:2]
    mixed.write_text("\n".join([*lines, json.dumps(row(7))]))
    tasks = read("mixed.jsonl")
    assert [task.label for task in tasks] == ["t0", "t1", "t7"]
    assert [task.system for task in tasks] == [POLICY, POLICY, ""]


def test_calls_as_text_and_as_objects_are_the_same(shop: Path) -> None:
    own = row(0)
    own["turns"][0]["calls"] = [
        {"name": "get_order", "arguments": {"order_id": "W1000"}},
        {"name": "set_note", "arguments": '{"order_id": "W1000", "note": "gift 0"}'},
    ]
    (shop / "objects.jsonl").write_text(json.dumps(own))
    assert [t.turns for t in read("objects.jsonl")] == [read("own.jsonl")[0].turns]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({"name": "fly"}, "turns.0.calls.0: unknown tool 'fly'"),
        ({"arguments": {"a": 1}, "b": 1}, "turns.0.calls.0: not a call"),
        ({"name": "get_order", "arguments": 3}, "arguments must be an object"),
        (7, "turns.0.calls.0"),
    ],
)
def test_a_call_that_is_none_is_named(shop: Path, call: Any, told: str) -> None:
    own = row(0)
    own["turns"][0]["calls"] = [call]
    (shop / "bad.jsonl").write_text(json.dumps(own))
    with pytest.raises(UserError, match="line 1: ") as error:
        read("bad.jsonl")
    assert told in str(error.value)


def test_a_header_holds_for_all_tasks_of_yaml_too(shop: Path) -> None:
    tasks = [row(0), row(1, system="Another one.")]
    (shop / "a.yaml").write_text(json.dumps({"system": POLICY, "tasks": tasks}))
    assert [task.system for task in read("a.yaml")] == [POLICY, "Another one."]
    one, _ = read("a.yaml")
    assert one.id == read("own.jsonl")[0].id != one.model_copy(update={"system": ""}).id
    (shop / "b.yaml").write_text(json.dumps({"sistem": POLICY, "tasks": tasks}))
    with pytest.raises(UserError, match="line 1: "):
        read("b.yaml")
    (shop / "c.yaml").write_text(json.dumps({"tasks": tasks}))
    assert [task.label for task in read("c.yaml")] == ["t0", "t1"]


def test_another_environment_is_named(shop: Path) -> None:
    (task,) = read_tasks(shop / "stored.jsonl")[:1]
    write_tasks(shop / "other.jsonl", [task.model_copy(update={"environment": "x:Y"})])
    with pytest.raises(UserError, match="environment: 'x:Y' is not own_shop:Shop"):
        read("other.jsonl")


@pytest.mark.parametrize("name", ["own.jsonl", "stored.jsonl"])
def test_every_command_reads_both(
    shop: Path, rods: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    own = (*ENV, "--tasks", name)
    right = {"task": "t0", "turns": [row(0)["turns"][0]["calls"]]}
    for named in ("t0", read(name)[0].id):
        (shop / "episodes.jsonl").write_text(json.dumps({**right, "task": named}))
        assert "t0: progress 1.000" in rods("score", "episodes.jsonl", *own).out
    lines = "".join(f"{call}\n" for call in row(0)["turns"][0]["calls"])
    stdin = SimpleNamespace(buffer=io.BytesIO(f"{lines}\n".encode()), isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", stdin)
    played: Done = rods("play", "t0", *own)
    assert f"system: {POLICY}" in played.out and "[progress 1.000, complete]" in played.out
    assert "0 of 6 tasks have faults. " in rods("audit", *own).out
    assert "value edges: 0" in rods("profile", "t0", *own).out
    assert "distance 0.000" in rods("profile", "t0", f"{name}:t1", *own).out
    verified = rods("verify", name, *ENV)
    assert "of 6 tasks pass every gate" in verified.out and verified.code in (0, 1)
    for number, named in enumerate(([name, *ENV], own)):
        done = rods("export", *named, "--format", "trl", "--out", f"out{number}")
        assert done.code == 0, done
    rows = [json.loads(line) for line in (shop / "out1" / "train.jsonl").open()]
    assert [r["prompt"][0]["content"] for r in rows] == [POLICY] * 6


def test_what_synth_writes_is_read_by_synth_and_verify(shop: Path, rods: Any) -> None:
    made = rods(
        "synth", "--count", "3", "--out", "made.jsonl", "--workers", "1",
        *ENV, "--tasks", "own.jsonl",
    )  # fmt: skip
    assert made.code == 0, made
    tasks = read_tasks(shop / "made.jsonl")
    assert [task.system for task in tasks] == [POLICY] * 3
    assert rods("verify", "made.jsonl", *ENV, "--tasks", "own.jsonl").code == 0
    again = read("made.jsonl")
    assert [t.id for t in again] == [t.id for t in tasks] == [t.label for t in again]
    assert {(t.origin, t.parent) for t in again} == {("user", "")}
    assert rods("audit", *ENV, "--tasks", "made.jsonl").code == 0


def test_a_file_takes_the_place_of_the_benchmarks_tasks(tmp_path: Path, rods: Any) -> None:
    task = benchmark_tasks()["multi_turn_base_3"]
    turns = [{"user": t.user, "calls": [*map(str, t.ground_truth)]} for t in task.turns]
    own = {"id": "mine", "classes": task.classes, "start": task.start, "turns": turns}
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(own))
    episode = tmp_path / "episodes.jsonl"
    episode.write_text(json.dumps({"task": "mine", "turns": [t["calls"] for t in turns]}))
    assert "mine: progress 1.000" in rods("score", episode, "--tasks", path).out
    assert "of 1 tasks have faults" in rods("audit", "--tasks", path).out
    refused(rods("play", "multi_turn_base_3", "--tasks", path), "they are named like mine")


def test_exported_files_are_named_once(shop: Path, rods: Any) -> None:
    for named in ([], ["own.jsonl", "--tasks", "own.jsonl"]):
        done = rods("export", *named, *ENV, "--format", "trl", "--out", "out")
        refused(done, "name one file of tasks")
