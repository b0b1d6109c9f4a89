"""Exported folders hold the same tasks, are whole or not there, and say what they cannot hold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commandline import Done, refused
from doubles import make_task
from export_check import check
from official import OfficialChecker
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import CATEGORIES, benchmark_tasks, data_folder, split
from rods.envs.bfcl_twin import accepts_ground_truth
from rods.errors import UserError
from rods.export.bfcl import read, task_id
from rods.export.folder import FORMATS, export
from rods.export.rows import task_of
from rods.files.tasks import read_tasks, write_tasks
from rods.task import Call, Task, Turn

ROOT = Path(__file__).parent.parent
SPEC = "examples.clinic.tools:Clinic"
LIBRARY = "pip install 'rods[export]'"
WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None
from rods.cli import main
main()
"""
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic tasks of all categories."""
    path = tmp_path_factory.mktemp("made") / "tasks.jsonl"
    command = [sys.executable, "-m", "rods", "synth", "--count", "24", "--seed", "4"]
    subprocess.run([*command, "--workers", "1", "--out", path], check=True, capture_output=True)
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def contents(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def spoken(**fields: Any) -> Task:
    """A small task whose ground truth the simulators take."""
    call = Call(name="echo", arguments={"content": "hi"})
    turns = (Turn(user="say hi", ground_truth=(call,)),)
    return Task(category="base", classes=("GorillaFileSystem",), start={}, turns=turns).model_copy(
        update=fields
    )


def test_the_whole_benchmark_comes_back(rods, tmp_path: Path) -> None:
    tasks = list(benchmark_tasks().values())
    write_tasks(tmp_path / "tasks.jsonl", tasks)
    out = tmp_path / "out"
    done = rods("export", tmp_path / "tasks.jsonl", "--format", "bfcl", "--out", out)
    assert done == Done(0, f"{out}: 800 tasks as bfcl\n", "")
    assert [task.id for task in read(out)] == [task.id for task in tasks]
    for category in CATEGORIES:
        name = f"BFCL_v4_multi_turn_{category}.json"
        ours, theirs = lines(out / name), lines(data_folder() / name)
        kept = theirs[0].keys() - {"excluded_function"}
        assert all(row.keys() == kept for row in ours)
        for mine, row in zip(ours, theirs, strict=True):
            assert {type(mine[k]) for k in kept} == {type(row[k]) for k in kept}
            assert mine["question"] == row["question"]
            assert mine["involved_classes"] == row["involved_classes"]
            assert mine.get("missed_function") == row.get("missed_function")
            assert list(mine["initial_config"]) == [
                k for k in row["initial_config"] if k in row["involved_classes"]
            ]


def test_synthetic_tasks_come_back(rods, made: Path, tmp_path: Path) -> None:
    out, tasks = tmp_path / "new" / "out", read_tasks(made)
    done = rods("export", made, "--format", "bfcl", "--out", out, "--json")
    told = json.loads(done.out)
    assert told["tasks"] + len(told["left_out"]) == len(tasks) == 24
    found = read(out)
    assert {t.id for t in found} | set(told["left_out"]) == {t.id for t in tasks}
    assert {t.category for t in found} == set(CATEGORIES)
    for task in found:
        assert task_id(task.source) == task.id
        kind, index = task.source.rsplit("_", 1)  # as the benchmark's programs take it apart
        assert kind == f"multi_turn_{task.category}"
        assert tasks[int(index.split("-")[0])].id == task.id


@given(st.dictionaries(st.sampled_from(["content", "file_name"]), values), st.text())
def test_any_values_come_back(tmp_path_factory, arguments: dict[str, Any], words: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    turn = Turn(user=words, ground_truth=(Call(name="echo", arguments=arguments),))
    try:
        task = spoken(turns=(turn,))
        write_tasks(folder / "tasks.jsonl", [task])
        export(folder / "tasks.jsonl", "bfcl", folder / "out")
    except (UserError, UnicodeEncodeError):
        assert not (folder / "out").exists()
    else:
        assert [t.id for t in read(folder / "out")] == [task.id]


def test_the_official_checker_judges_alike(made: Path) -> None:
    counts = check(made, 24, 0)
    assert counts["tasks"] == counts["ground truth: accepted by the official checker"] > 20
    assert counts["wrong answer: refused by the official checker"] > 40
    assert counts["disagreements"] == 0


def test_what_is_left_out_is_what_the_official_checker_refuses() -> None:
    """Of paying with a card of one's own and with one that long context adds."""
    official, env = OfficialChecker(), BfclEnvironment()
    flight = {"travel_from": "SFO", "travel_to": "LAX", "travel_date": "2027-04-11"}
    start: Any = {"access_token": "t", "budget_limit": 10.0, "credit_card_list": {}}
    start["credit_card_list"] = {"own": {"balance": 9000.0}}
    verdicts = []
    for card in ("own", "4567890145678901"):
        book = {"access_token": "t", "card_id": card, "travel_class": "business", **flight}
        calls = (
            Call(name="book_flight", arguments=book),
            Call(name="get_all_credit_cards", arguments={}),
        )
        task = spoken(
            category="long_context",
            classes=("TravelAPI",),
            start={"TravelAPI": start},
            turns=(Turn(user="-", ground_truth=calls),),
            source=f"multi_turn_long_context_{card}",
        )
        official.gold[task.source] = [[str(call) for call in calls]]
        official.rows[task.source] = {
            "id": task.source,
            "initial_config": task.start,
            "involved_classes": list(task.classes),
        }
        verdicts.append(official.check(task, [calls]))
        assert accepts_ground_truth(task, env) == verdicts[-1]
        assert official.check(task, [calls], sealed=True)
    assert verdicts == [True, False]


def test_rows_for_trl(rods, made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert rods("export", made, "--format", "trl", "--out", out).code == 0
    assert contents(out) == ["train.jsonl"]
    tasks = read_tasks(made)
    for task, row in zip(tasks, lines(out / "train.jsonl"), strict=True):
        assert Task.model_validate_json(row["task"]) == task
        assert row["prompt"][-1]["content"] == task.turns[0].user
        assert {message["task"] for message in row["prompt"]} == {task.id} == {row["task_id"]}
        offered = {tool["function"]["name"] for tool in json.loads(row["tools"])}
        expected = BfclEnvironment().tools(task).keys() - set(task.withheld)
        assert offered == expected
        restored = [[t["function"]["name"] for t in turn] for turn in json.loads(row["restores"])]
        assert restored == [list(turn.restores) for turn in task.turns]


def test_trl_rows_load_as_a_dataset(made: Path, tmp_path: Path, monkeypatch) -> None:
    datasets = pytest.importorskip("datasets")
    export(made, "trl", tmp_path / "out")
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert list(found) == ["train"]
    assert list(found["train"]) == lines(tmp_path / "out" / "train.jsonl")


def test_rows_for_verl(rods, made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert rods("export", made, "--format", "verl", "--out", out).code == 0
    rows = pyarrow.parquet.read_table(out / "train.parquet").to_pylist()
    for index, (task, row) in enumerate(zip(read_tasks(made), rows, strict=True)):
        extra = row["extra_info"]
        assert (extra["index"], extra["split"], extra["task_id"]) == (index, "train", task.id)
        assert Task.model_validate_json(extra["task"]) == task
        assert extra["interaction_kwargs"]["turns"] == [turn.user for turn in task.turns]
        assert row["prompt"][-1] == {"role": "user", "content": task.turns[0].user}
        assert row["data_source"] == f"rods/{task.category}"
        gold = json.loads(row["reward_model"]["ground_truth"])
        assert gold == [[str(call) for call in turn.ground_truth] for turn in task.turns]
        assert json.loads(extra["tools_kwargs"]["tools"])


@pytest.mark.parametrize("form", ["trl", "verl"])
def test_benchmark_tasks_keep_their_side(tmp_path: Path, form: str) -> None:
    tasks = list(benchmark_tasks().values())[:40]
    write_tasks(tmp_path / "tasks.jsonl", tasks)
    export(tmp_path / "tasks.jsonl", form, tmp_path / "out")
    sides = {split()[task.source] for task in tasks}
    assert {path.stem for path in (tmp_path / "out").iterdir()} == sides


def test_the_table_holds_everything(rods, made: Path, tmp_path: Path) -> None:
    out, tasks = tmp_path / "out", read_tasks(made)
    assert rods("export", made, "--format", "parquet", "--out", out).code == 0
    rows = pyarrow.parquet.read_table(out / "tasks.parquet").to_pylist()
    assert [task_of(row) for row in rows] == tasks
    assert [row["id"] for row in rows] == [task.id for task in tasks]
    assert [row["call_count"] for row in rows] == [len(task.calls) for task in tasks]
    assert [row["turn_count"] for row in rows] == [len(task.turns) for task in tasks]


@pytest.mark.parametrize("form", ["trl", "verl", "parquet"])
def test_classes_of_ones_own(rods, tmp_path: Path, form: str, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    call = Call(name="find_patient", arguments={"name": "A"})
    turns = (Turn(user="Find A.", ground_truth=(call,)),)
    task = spoken(classes=("Clinic",), environment=SPEC, turns=turns)
    write_tasks(tmp_path / "tasks.jsonl", [task])
    args = ["export", tmp_path / "tasks.jsonl", "--format", form, "--out", tmp_path / "out"]
    if form != "parquet":
        refused(rods(*args), "tasks.jsonl: line 1: environment", "--env")
    assert rods(*args, "--env", SPEC).code == 0


def test_what_the_official_checker_refuses_is_left_out(rods, tmp_path: Path) -> None:
    post = Call(name="post_tweet", arguments={"content": "x"})
    tag = Call(name="mention", arguments={"tweet_id": 1, "mentioned_usernames": ["michael_smith"]})
    turns = (Turn(user="-", ground_truth=(post, tag)),)
    start: Any = {"TwitterAPI": {"username": "a", "password": "b", "authenticated": True}}
    start["TwitterAPI"] |= {"tweets": {}, "tweet_counter": 1}
    task = spoken(classes=("TwitterAPI",), start=start, turns=turns)
    assert not accepts_ground_truth(task, BfclEnvironment())
    assert accepts_ground_truth(spoken(), BfclEnvironment())
    path, out = tmp_path / "tasks.jsonl", tmp_path / "out"
    write_tasks(path, [task])
    refused(rods("export", path, "--format", "bfcl", "--out", out), str(path), "no task")
    assert not out.exists()
    write_tasks(path, [task, spoken()])
    done = rods("export", path, "--format", "bfcl", "--out", out)
    assert f"left out: {path}: line 1: " in done.out
    assert [t.id for t in read(out)] == [spoken().id]


CALL = Call(name="echo", arguments={"content": "hi"})
UNSAYABLE = [
    ({"turns": ()}, "turns"),
    ({"classes": ("Rocket",)}, "classes: bfcl has no 'Rocket'"),
    ({"environment": "mine:Own"}, "environment: 'mine:Own' is not bfcl"),
    ({"start": {"MathAPI": {"a": 1}}}, "start"),
    ({"start": {"GorillaFileSystem": {"root": [1]}}}, "start: "),
    ({"withheld": ("cp",)}, "withheld"),
    ({"withheld": ("fly",)}, "withheld: no tool 'fly'"),
    ({"turns": (Turn(user="u", restores=("fly",)),)}, "turns.0.restores: no tool 'fly'"),
    ({"turns": (Turn(user="u", restores=("cp",)),), "withheld": ("cp",)}, "turns.0.user"),
    (
        {"turns": (Turn(user="u", ground_truth=(CALL, Call(name="fly"))),)},
        "turns.0.ground_truth: no tool",
    ),
    (
        {"turns": (Turn(user="u", ground_truth=(Call(name="cd", arguments={"a b": 1}),)),)},
        "turns.0.ground_truth.0",
    ),
    (
        {"turns": (Turn(user="u", ground_truth=(Call(name="cd", arguments={"a=1, b": 1}),)),)},
        "turns: ",
    ),
]


@pytest.mark.parametrize(("fields", "told"), UNSAYABLE, ids=lambda value: str(value)[:40])
def test_what_the_benchmark_cannot_say(rods, tmp_path: Path, fields: dict, told: str) -> None:
    path = tmp_path / "tasks.jsonl"
    write_tasks(path, [spoken(), spoken(**fields)])
    done = rods("export", path, "--format", "bfcl", "--out", tmp_path / "new" / "out")
    refused(done, f"{path}: line 2: {told}")
    assert contents(tmp_path) == ["tasks.jsonl"]


@pytest.mark.parametrize("form", FORMATS)
def test_unusable_input_leaves_nothing(rods, tmp_path: Path, form: str) -> None:
    path, out = tmp_path / "tasks.jsonl", tmp_path / "out"
    args = ["export", path, "--format", form, "--out", out]
    refused(rods(*args), str(path), "No such file")
    path.write_text("")
    refused(rods(*args), str(path), "no tasks")
    write_tasks(path, [make_task("x")])
    with path.open("a") as file:
        file.write('\n{"category": "base"}\n')
    refused(rods(*args), f"{path}: line 3: id")
    assert contents(tmp_path) == ["tasks.jsonl"]


def test_the_folder_must_be_new(rods, made: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "empty").mkdir()
    mine = tmp_path / "full" / "mine"
    args = ["export", made, "--format", "trl", "--out"]
    refused(rods(*args, tmp_path / "full"), f"{tmp_path / 'full'}: is not empty", "new folder")
    refused(rods(*args, mine), f"{mine}: is a file")
    refused(rods(*args, mine / "out"), str(mine / "out"), "cannot be written")
    assert rods(*args, tmp_path / "empty").code == 0
    assert contents(tmp_path) == ["empty", "empty/train.jsonl", "full", "full/mine"]
    assert mine.read_text() == "mine"


def test_an_unknown_format(rods, made: Path, tmp_path: Path) -> None:
    done = rods("export", made, "--format", "csv", "--out", tmp_path / "out")
    refused(done, "--format csv", "bfcl, trl, verl, nemo-gym, parquet")
    done = rods("export", made, "--format", "bfcl", "--out", tmp_path / "out", "--env", SPEC)
    refused(done, "--env", "bfcl")


@pytest.mark.parametrize("form", ["verl", "parquet", "trl"])
def test_without_pyarrow(made: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    code = [sys.executable, "-c", WITHOUT_PYARROW, "export", made, "--format", form, "--out", out]
    done = subprocess.run(code, capture_output=True, text=True)
    if form == "trl":
        assert (done.returncode, done.stderr) == (0, "")
        return
    refused(Done(done.returncode, done.stdout, done.stderr), LIBRARY)
    assert contents(tmp_path) == []


def test_an_epoch_beyond_all_bounds(rods, tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    write_tasks(path, [make_task("x", born=10**30)])
    refused(rods("export", path, "--format", "parquet", "--out", tmp_path / "out"), "line 1: born")


def test_the_page_names_every_column(made: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "export.md").read_text("utf-8")
    for form in FORMATS:
        export(made, form, tmp_path / form)
    names = set(pyarrow.parquet.read_schema(tmp_path / "parquet" / "tasks.parquet").names)
    schema = pyarrow.parquet.read_schema(tmp_path / "verl" / "train.parquet")
    names |= set(schema.names) | {field.name for field in schema.field("extra_info").type}
    names |= set(lines(tmp_path / "trl" / "train.jsonl")[0])
    for path in (tmp_path / "bfcl").rglob("*.json"):
        names |= {name for row in lines(path) for name in row}
    assert names <= set(re.findall(r"`(\w+)`", page))
