"""`rods train` on the user's own tools: the worked example, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest
import yaml

from commandline import refused
from fragile import Fragile
from rods.envs.load import load_environment
from rods.envs.task_file import read_task_file
from rods.errors import UserError
from rods.files.tasks import read_tasks
from rods.micro.own import prepare_tasks
from rods.presets import load_config
from rods.processes import Stopper
from rods.run import Watch, train
from rods.store.store import Store

ROOT = Path(__file__).parent.parent
CLINIC = "examples.clinic.tools:Clinic"
TASKS = ROOT / "examples" / "clinic" / "tasks.yaml"
OWN = ("--env", CLINIC, "--tasks", TASKS)


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.slow
def test_two_epochs_on_the_clinic(rods: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ("train", "--run", run, *OWN, "--preset", "tiny", "--arm", "static", "--json")
    done = rods(*command, "--set", "steps=4")
    assert done.code == 0, done
    summary = json.loads(done.out)
    assert summary["epochs"] == 2 and summary["trajectories"] == 64
    assert {"before", "after"} == {k for k, v in summary["heldout"].items() if "overall" in v}
    written = {t.id for t in read_task_file(TASKS, load_environment(CLINIC))}
    store = Store(run)
    trained = {group.task_id for group in store.groups()}
    assert len(trained) == 8 and trained < written
    assert all(task.environment == CLINIC for task in store.tasks().values())
    # What an untrained policy says differs between processors; what it is told does not.
    shown = [said for *_, said in store.episodes().values()]
    assert shown and all(
        any(role == "tools" and "register_patient" in text for role, text in said) for said in shown
    )
    store.close()
    page = (run / "report.html").read_text("utf-8")
    assert "one task in six" in page and "as written" in page

    other = tmp_path / "tasks.yaml"
    other.write_text(TASKS.read_text("utf-8").replace("Momo", "Mimi"), encoding="utf-8")
    refused(rods(*command, "--set", "steps=4", "--seed", 5), "seed = 0, not 5")
    store = Store(run)
    config = store.meta("config")
    store.set_meta(
        "config", {**config, "environment": {**config["environment"], "tasks": str(other)}}
    )
    store.close()
    again = ("train", "--run", run, "--env", CLINIC, "--tasks", other, "--preset", "tiny")
    refused(
        rods(*again, "--arm", "static", "--set", "steps=4"), "the tasks of", "use another folder"
    )


@pytest.mark.slow
def test_a_run_goes_on_where_it_and_its_tasks_were_moved(rods: Any, tmp_path: Path) -> None:
    settings = ("--preset", "tiny", "--arm", "static", "--json", "--set", "steps=4")
    run, away, copy = tmp_path / "run", tmp_path / "elsewhere" / "run", tmp_path / "copy.yaml"
    assert rods("train", "--run", run, *OWN, *settings).code == 0
    away.parent.mkdir()
    shutil.copytree(run, away)
    copy.write_bytes(TASKS.read_bytes())
    for place, tasks in ((run, TASKS.relative_to(ROOT)), (away, copy)):
        done = rods("train", "--run", place, "--env", CLINIC, "--tasks", tasks, *settings)
        assert done.code == 0, done
        assert json.loads(done.out)["trajectories"] == 64


def test_a_task_under_two_ids_is_told_before_anything_is_prepared(
    rods: Any, tmp_path: Path
) -> None:
    rows = yaml.safe_load(TASKS.read_text("utf-8"))
    path = tmp_path / "tasks.yaml"
    path.write_text(json.dumps([*rows, rows[0] | {"id": "again"}]), "utf-8")  # which is YAML too
    for command in (
        ("train", "--run", tmp_path / "run", "--preset", "tiny"),
        ("synth", "--count", 1, "--out", tmp_path / "out.jsonl"),
    ):
        done = rods(*command, "--env", CLINIC, "--tasks", path)
        refused(done, str(path), "task 13", f"'again' is the same task as '{rows[0]['id']}'")
    assert not (tmp_path / "cache").exists(), "a policy was prepared"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"start": {"Clinic": {"patients": {"P9": "\ud83d"}}}},
            "start.Clinic.patients.P9: '\\ud83d'",
        ),
        ({"start": {"Clinic": {"a": float("inf")}}}, "start.Clinic.a: not a finite number"),
        ({"start": {"Clinic": {"patients": 10**30}}}, "start.Clinic.patients: an integer beyond"),
        ({"id": "\ud83d"}, "id: '\\ud83d' is half of a character"),
        ({"turns": [{"calls": ["find_patient('\\ud83d')"]}]}, "turns.0.calls.0: name: '\\ud83d'"),
    ],
)
def test_what_cannot_be_stored_is_refused_alike_before_anything_is_prepared(
    rods: Any, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path, said = tmp_path / "tasks.jsonl", set()
    rows = [{"id": f"t{i}", "turns": [{"user": f"Wait {i}."}]} for i in range(8)]
    rows[6] |= change
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    for command in (
        ("envs", "check", CLINIC),
        (
            "train",
            "--run",
            tmp_path / "run",
            "--preset",
            "tiny",
            "--arm",
            "static",
            "--env",
            CLINIC,
        ),
        ("synth", "--count", 1, "--out", tmp_path / "out.jsonl", "--env", CLINIC),
    ):
        done = rods(*command, "--tasks", path)
        refused(done, f"{path}: line 7: ", message)
        said.add(done.err)
    assert len(said) == 1
    assert {p.name for p in tmp_path.iterdir()} == {"tasks.jsonl"}


HALVES = """
class Notes:
    \"\"\"Notes by name.\"\"\"

    def __init__(self) -> None:
        self.notes: dict = {}
        self.names: list = ["\\ud83d", "ab\\ud83d", "cd\\udc00", "plain"]

    def names_of(self, box: str) -> dict:
        \"\"\"List the names in a box.

        Args:
            box: Name of the box.
        \"\"\"
        return {"names": self.names, "box": box}

    def add_note(self, name: str, text: str) -> dict:
        \"\"\"Add a note under a name.

        Args:
            name: Name of the note.
            text: Text of the note.
        \"\"\"
        self.notes[name] = text
        return {"name": name, "text": text}

    def read_note(self, name: str) -> dict:
        \"\"\"Read a note by its name.

        Args:
            name: Name of the note.
        \"\"\"
        return {"text": self.notes.get(name), "name": name}
"""
SAID = (
    "List the names in the box {0}x.",
    "Add note plain, hello{0} there.",
    "Read plain.",
)
DONE = ("names_of(box='{0}x')", "add_note('plain', 'hello{0} there')", "read_note('plain')")


def test_half_of_a_character_that_a_tool_answers_gets_into_no_variant(
    rods: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "halves.py").write_text(HALVES)
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = []
    for number in range(12):
        pairs = zip(SAID, DONE, strict=True)
        turns = [{"user": u.format(number), "calls": [c.format(number)]} for u, c in pairs]
        rows.append({"id": f"t{number}", "turns": turns})
    path, out = tmp_path / "tasks.jsonl", tmp_path / "made.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    own = ("--env", "halves:Notes", "--tasks", path)
    made = rods("synth", "--count", 24, "--workers", 1, "--out", out, *own)
    assert made.code == 0, made.err
    assert len(read_tasks(out)) == 24 and rods("verify", out, *own).code == 0


def test_the_sides_are_fixed_and_apart() -> None:
    config = load_config(
        "tiny", ["policy.tokens=1000"], arm="static",
        environment__name=CLINIC, environment__tasks=str(TASKS),
    )  # fmt: skip
    tasks = prepare_tasks(config, lambda what, share: None)
    assert [t.source for t in tasks.validation] == ["new-kitten", "no-way-to-cancel"]
    assert [t.source for t in tasks.test] == ["move-the-rabbit", "what-note"]
    assert len(tasks.train) == 8 and not tasks.left_out
    again = prepare_tasks(config, lambda what, share: None)
    assert (again.sides, again.left_out) == (tasks.sides, tasks.left_out)


@pytest.mark.slow
def test_variants_of_ones_own_tasks_are_made_and_trained_on(rods: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ("train", "--run", run, *OWN, "--preset", "tiny", "--arm", "rods", "--json")
    # Any task may be a seed: whether groups have a signal hangs on the machine's floating point.
    done = rods(*command, "--set", "steps=6", "--set", "boundary.rule=random", "--seed", 1)
    assert done.code == 0, done
    store = Store(run)
    made = [task for task in store.tasks().values() if task.origin == "program"]
    injected = {e.task_id for e in store.events() if e.kind == "injected"}
    store.close()
    assert made and injected <= {task.id for task in made}
    assert rods("verify", run, "--env", CLINIC, "--tasks", TASKS).code == 0


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("--env", CLINIC, "--arm", "static"), ["--tasks FILE"]),
        (("--tasks", TASKS), ["--env"]),
        (
            ("--env", "examples.nothing:X", "--tasks", TASKS, "--arm", "static"),
            ["examples.nothing"],
        ),
        (("--env", CLINIC, "--tasks", "none.yaml", "--arm", "static"), ["none.yaml"]),
        (("--set", "environment.name=x"), ["use --env"]),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    rods: Any, tmp_path: Path, args: Any, named: Any
) -> None:
    refused(rods("train", "--run", tmp_path / "run", "--preset", "tiny", *args), *named)


@pytest.mark.parametrize("count", [5, 6])
def test_few_or_unfit_tasks_are_refused(tmp_path: Path, count: int) -> None:
    rows = [
        {"id": i, "turns": [{"user": "note", "calls": [f"add_note('P001', '{i}{'x' * 40}')"]}]}
        for i in map(str, range(count))
    ]
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    config = load_config(
        "tiny", arm="static", environment__name=CLINIC, environment__tasks=str(path)
    )
    with pytest.raises(UserError, match=f"0 of {count} tasks fit"):
        prepare_tasks(config, lambda what, share: None)


@pytest.mark.slow
def test_a_dead_environment_ends_a_run_that_goes_on_later(tools: Fragile, tmp_path: Path) -> None:
    """Its database goes away after the first step."""
    start = {"Tally": {"folder": str(tmp_path)}}
    calls = ("add(amount=2)", "add(amount=1)", "add()")
    rows = [
        {"id": f"{i}{j}", "start": start, "turns": [{"user": f"{i} {j}", "calls": [one, other]}]}
        for i, one in enumerate(calls)
        for j, other in enumerate(calls)
    ]
    path, message = tmp_path / "tasks.jsonl", list[str]()
    path.write_text("\n".join(map(json.dumps, rows)))
    own = {"environment__name": "tally:Tally", "environment__tasks": str(path)}
    settings = ["steps=6", "pool.rest_epochs=1", "evaluation.validation_every=0"]
    config = load_config("tiny", settings, arm="static", **own)
    watch = create_autospec(Watch, instance=True)
    watch.step.side_effect = lambda line: tools.mark("fail")
    watch.notice.side_effect = message.append
    with pytest.raises(UserError, match=r"most rollouts of 3 steps in a row: .* is away.*fix it"):
        train(config, tmp_path / "run", watch, Stopper())
    message = [line for line in message if "begins stage" not in line]
    assert 0 < len(message) <= 5
    assert all("the environment lost rollouts" in line for line in message)
    tools.unmark("fail")
    watch.step.side_effect = None
    summary = train(config, tmp_path / "run", watch, Stopper())
    assert summary is not None and summary["steps"] == 6
    store = Store(tmp_path / "run", role="reader")
    lost = sum(group.size - len(group.rewards) for group in store.groups())
    store.close()
    assert summary["lost"] == lost > 0
