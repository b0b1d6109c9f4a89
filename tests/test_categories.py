"""Categories are names: a task carries any, and all that reads categories takes what there is."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from html import escape
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from commandline import refused
from doubles import make_config, make_task, play
from rods.charts.style import line_of
from rods.config import Config
from rods.envs.bfcl_data import CATEGORIES, benchmark_tasks
from rods.errors import UserError
from rods.files.tasks import read_tasks, write_tasks
from rods.loop import Loop
from rods.policies.tasks import choose_seeds
from rods.report.page import write_report
from rods.store.schema import TaskMeasurement
from rods.store.store import Store
from rods.synthesis import augmentation
from rods.task import Task
from small_shop import CLASS, OPTIONS

OWN = ("early hours", "late <b>hours</b>")
DOCS = Path(__file__).parents[1] / "docs" / "synthesis.md"
LATE = json.dumps([{"categories": [OWN[1]]}])
TINY = ("--preset", "tiny", "--set", "steps=2")


@pytest.fixture
def own(shop: Path) -> Path:
    """The shop, its first six tasks of one category and the others of another."""
    rows = [json.loads(line) for line in (shop / "tasks.jsonl").read_text("utf-8").splitlines()]
    for number, row in enumerate(rows):
        row["category"] = OWN[number >= 6]
    (shop / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return shop


def test_the_tasks_of_the_benchmark_are_what_they_were() -> None:
    ids = " ".join(task.id for task in benchmark_tasks().values())
    assert hashlib.sha256(ids.encode()).hexdigest()[:16] == "558889b8de3ef3df"
    found = Counter(task.category for task in benchmark_tasks().values())
    assert list(found.items()) == [(category, 200) for category in CATEGORIES]


@pytest.mark.parametrize("name", ["", "x" * 61, "a\nb", "a\u202eb", "\ud83d", " a", "overall", 1])
def test_what_is_no_name_is_no_category(name: Any) -> None:
    with pytest.raises(ValidationError, match="category"):
        make_task("one two", name)
    with pytest.raises(ValidationError, match="categories"):
        make_config(stages=[{"categories": [name]}])


@pytest.mark.slow
def test_a_run_on_own_categories(rods: Any, own: Path) -> None:
    done = rods("train", "--run", "run", *OPTIONS, *TINY, "--arm", "static", "--json")
    assert done.code == 0, done.err
    assert list(json.loads(done.out)["heldout"]["after"]) == ["overall", *OWN]
    store = Store(own / "run", role="reader")
    assert Counter(group.category for group in store.groups()) == dict.fromkeys(OWN, 4)
    store.close()
    page = (own / "run" / "report.html").read_text("utf-8")
    assert OWN[0] in page and OWN[1] not in page and escape(OWN[1]) in page
    again = ("train", "--run", "run", *OPTIONS, *TINY, "--arm", "static")
    name_in_stages(own / "run", *OWN)  # as a run of before stages could leave their names out
    shown = rods(*again)
    assert shown.code == 0 and all(name in shown.out for name in OWN)
    name_in_stages(own / "run", OWN[0])
    refused(rods(*again), "holds a run with stages")


def name_in_stages(run: Path, *categories: str) -> None:
    store = Store(run)
    config = store.meta("config")
    stages = [{**stage, "categories": categories} for stage in config["stages"]]
    store.set_meta("config", {**config, "stages": stages})
    store.close()


@pytest.mark.slow
def test_a_stage_trains_on_one_of_them(rods: Any, own: Path) -> None:
    settings = (*TINY, "--arm", "static", "--set", f"stages={LATE}")
    assert rods("train", "--run", "run", *OPTIONS, *settings).code == 0
    store = Store(own / "run", role="reader")
    assert {group.category for group in store.groups()} == {OWN[1]}
    store.close()


def test_a_stage_of_a_category_without_tasks_is_refused(rods: Any, own: Path) -> None:
    wrong = ("--set", "stages=[{epochs: 1}, {categories: [late]}]")
    there = ("stages.1.categories: ", "'late'", "there are")
    refused(rods("train", "--run", "run", *OPTIONS, *TINY, *wrong), *there, *OWN)
    refused(rods("train", "--run", "run", *TINY, *wrong), *there, *CATEGORIES)
    refused(rods("simulate", *wrong), *there, *CATEGORIES)
    assert not (own / "run").exists() and not list(own.glob("**/cache"))
    few = ("--tasks", 3, "--set", "stages=[{categories: [long_context]}]")
    refused(rods("simulate", *few), "'long_context'; there are base, miss_func, miss_param")


def test_a_stage_of_tasks_that_are_all_held_out_is_refused(rods: Any, own: Path) -> None:
    """The sixth and the twelfth task are the test side."""
    rows = [json.loads(line) for line in (own / "tasks.jsonl").read_text("utf-8").splitlines()]
    rows[5]["category"] = rows[11]["category"] = "rare"
    (own / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    stage = ("--set", "stages=[{categories: [rare]}]")
    done = rods("train", "--run", "run", *OPTIONS, *TINY, *stage)
    assert done.code == 2 and not (own / "run").exists()
    assert "'rare'; there are early hours, late" in done.err.splitlines()[-1]


def test_an_unknown_category_is_told_what_there_is(rods: Any, own: Path) -> None:
    command = ("synth", "--count", 1, "--out", "out.jsonl", *OPTIONS, "--category")
    refused(rods(*command, "late"), "--category late: choose one of", *OWN)


def seeds_of(*categories: str) -> list[Task]:
    return [make_task(f"seed {i}", category) for i, category in enumerate(categories)]


def test_each_category_of_a_loop_has_its_quota(tmp_path: Path) -> None:
    seeds = seeds_of(*["red"] * 3, *["green"] * 3, "blue", "blue")
    rule = {"rule": "random", "quota": 2, "cooldown": 0}
    loop = Loop(make_config(8, arm="static", boundary=rule), Store(tmp_path), seeds)
    stage = {"categories": ["green", "blue"]}
    staged = make_config(5, arm="rods", boundary=rule, stages=[stage])
    assert set(loop.next_ids()) == {task.id for task in seeds}
    loop.store.close()
    loop = Loop(staged, Store(tmp_path / "staged"), seeds)
    tasks = loop.next_tasks()
    assert Counter(task.category for task in tasks) == {"green": 3, "blue": 2}
    loop.add_groups(play(tasks, 1))
    selection = loop.curriculum.selection
    taken = Counter(parent.category for parent in selection.parents)
    assert taken["green"] + selection.unfilled.get("green", 0) == 2
    assert taken["blue"] + selection.unfilled.get("blue", 0) == 2
    assert selection.unfilled.keys() <= {"green", "blue"} and taken.total()
    loop.store.close()


@pytest.mark.parametrize(
    ("count", "taken"),
    [(2, 1), (5, 2), (6, 3), (1, 0), (8, 0)],
)
def test_seeds_are_taken_evenly_from_the_categories_that_there_are(count: int, taken: int) -> None:
    tasks = seeds_of(*["red"] * 3, *["green"] * 4)
    config = Config.model_validate({"pool": {"seeds": count}})
    if not taken:
        with pytest.raises(UserError, match=r"pool\.seeds: at least 2 and at most 6"):
            choose_seeds(tasks, config)
    else:
        found = [task.category for task in choose_seeds(tasks, config)]
        assert found == ["red"] * taken + ["green"] * taken


def test_the_report_has_a_row_and_a_line_for_each(tmp_path: Path) -> None:
    names = [f"kind {i}" for i in range(6)]
    store = Store(tmp_path)
    for step in (0, 4):
        for side in ("test", "validation"):
            rows = [TaskMeasurement(step, side, n, n, 0.5, 0.25, 8) for n in names]
            store.measures.add_heldout(rows)
    store.close()
    page = write_report(tmp_path).read_text("utf-8")
    assert re.findall(r'<th scope="row">(kind \d|overall)</th>', page) == [*names, "overall"]
    looks = [line_of(place) for place in range(16)]
    assert len({(colour, marker) for colour, marker, _ in looks}) == 16


def test_simulated_tasks_are_of_the_categories_that_are_named(rods: Any) -> None:
    few = ("--tasks", 8, "--steps", 2, "--seeds", 1, "--json", "--set", "rollout.tasks_per_step=4")
    usual = rods("simulate", *few)
    harder = rods("simulate", *few, "--set", "world.harder.miss_param=9")
    other = rods("simulate", *few, "--set", "world.harder={red: 0, green: 1}")
    assert usual.code == harder.code == other.code == 0
    assert len({usual.out, harder.out, other.out}) == 3
    stage = ("--set", "stages=[{categories: [green]}]", "--set", "world.harder={red: 0, green: 1}")
    assert rods("simulate", *few, *stage).code == 0
    refused(rods("simulate", "--set", "world.harder={}"), "world.harder")
    refused(rods("simulate", "--set", "world.harder.red=true"), "world.harder.red")


def test_the_benchmarks_files_hold_its_own_categories_only(rods: Any, tmp_path: Path) -> None:
    path, out = tmp_path / "tasks.jsonl", tmp_path / "out"
    write_tasks(path, [make_task("one two", "../../red")])
    done = rods("export", path, "--format", "bfcl", "--out", out)
    refused(done, f"{path}: line 1: category: ", "'../../red'", *CATEGORIES)
    assert [p.name for p in tmp_path.iterdir()] == ["tasks.jsonl"]
    for form in ("trl", "verl"):
        assert rods("export", path, "--format", form, "--out", tmp_path / form).code == 0


def test_a_category_without_an_augmentation_is_varied_plainly(rods: Any, own: Path) -> None:
    done = rods("synth", "--count", 6, "--out", "made.jsonl", "--workers", 1, *OPTIONS)
    assert done.code == 0, done.err
    parents = {task.id: task for task in own_tasks()}
    for task in read_tasks(own / "made.jsonl"):
        assert task.category == parents[task.parent].category
        assert all(turn.ground_truth for turn in task.turns)
    assert rods("verify", "made.jsonl", *OPTIONS).code == 0


def own_tasks() -> list[Task]:
    from rods.envs.load import load_environment
    from rods.envs.task_file import read_task_file

    return read_task_file(Path("tasks.jsonl"), load_environment("shop:Shop"))


def test_the_example_of_the_docs(
    rods: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augmentation, "_AUGMENTATIONS", dict(augmentation._AUGMENTATIONS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (code,) = re.findall(r"^```python\n(.*?)^```", DOCS.read_text("utf-8"), re.M | re.S)
    (tmp_path / "greeter.py").write_text(f"{code}\n{CLASS}", "utf-8")
    rows = []
    for hour in range(7, 19):
        request = {
            "user": f"Open at {hour} on Monday.",
            "calls": [f"set_opening(day='mon', at='{hour}:00')"],
        }
        rows.append(
            {
                "id": f"t{hour}",
                "category": "greeting",
                "start": {"Shop": {"limit": 1.0}},
                "turns": [{"user": "Hello, are you there?"}, request],
            }
        )
    Path("tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    options = ("--env", "greeter:Shop", "--tasks", "tasks.jsonl")
    done = rods("synth", "--count", 6, "--out", "made.jsonl", "--workers", 2, *options)
    assert done.code == 0, done.err
    made = read_tasks(tmp_path / "made.jsonl")
    assert {task.category for task in made} == {"greeting"}
    for task in made:
        first, second = task.turns
        assert first.user in ("Hello, are you there?", "Good morning!")
        assert second.user and second.ground_truth and not first.ground_truth
    assert {task.turns[0].user for task in made} != {"Hello, are you there?"}
    assert rods("verify", "made.jsonl", *options).code == 0
    silent = made[0].turns[0].model_copy(update={"user": "Wait."})
    write_tasks(
        tmp_path / "bad.jsonl", [made[0].model_copy(update={"turns": (silent, made[0].turns[1])})]
    )
    done = rods("verify", "bad.jsonl", *options)
    assert done.code == 1 and "augment: no greeting" in done.out
    known = augmentation.augmentation_of("greeting")
    assert known is not None and augmentation.structures()["greeting"] == known.structure
    for name in ("greeting", "miss_func"):
        with pytest.raises(ValueError, match=f"'{name}' has an augmentation"):
            augmentation.register(name, known)
