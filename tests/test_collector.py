"""The offline pipeline: the same file with any number of interruptions and workers."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rods.envs.bfcl_data import CATEGORIES
from rods.errors import UserError
from rods.files.tasks import read_tasks
from rods.synthesis.batches import JobRunner, in_threads
from rods.synthesis.collector import Collector
from rods.synthesis.failures import History, Kind, SynthesisError
from rods.synthesis.inputs import SynthesisInputs
from rods.synthesis.settings import SynthSettings
from rods.synthesis.stages import Plan, Planner
from rods.task import Task

WANTED = 14


@cache
def world() -> SynthesisInputs:
    return SynthSettings().inputs()


@cache
def maker() -> JobRunner:
    return JobRunner(world().pipeline(), world().parents, random_seed=5, size=3)


def make(out: Path, batches: int = 1000, seed: int = 5) -> Collector:
    """Run the collector, or stop it after some batches."""
    collector = Collector(out, {"seed": seed})
    made = collector.run(WANTED, in_threads(maker(), 1))
    for _, _ in zip(range(batches), made, strict=False):
        pass
    made.close()
    return collector


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("whole") / "tasks.jsonl"
    make(out)
    return written(out)


def written(out: Path) -> bytes:
    """Both files."""
    return out.read_bytes() + out.with_name("tasks.jsonl.given_up.jsonl").read_bytes()


@pytest.mark.slow
@given(stops=st.lists(st.integers(0, 3), max_size=3), torn=st.integers(0, 400))
@settings(max_examples=12, deadline=None)
def test_interrupted_runs_end_in_the_same_file(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, stops: list[int], torn: int
) -> None:
    out = tmp_path_factory.mktemp("torn") / "tasks.jsonl"
    part = out.with_name("tasks.jsonl.part")
    for batches in stops:
        make(out, batches)
        if part.exists():
            content = part.read_bytes()
            part.write_bytes(content[: max(1, len(content) - torn)])
    collector = make(out)
    assert written(out) == whole
    names = sorted(path.name for path in out.parent.iterdir())
    assert names == ["tasks.jsonl", "tasks.jsonl.given_up.jsonl"]
    assert collector.made == WANTED == len(read_tasks(out))
    assert collector.funnel["admitted"] >= WANTED


@pytest.mark.slow
def test_categories_follow_the_seeds(tmp_path: Path) -> None:
    parents = {task.id: task for task in world().parents}
    collector = Collector(tmp_path / "tasks.jsonl", {})
    list(collector.run(40, in_threads(maker(), 1)))
    made = read_tasks(tmp_path / "tasks.jsonl")
    for category in CATEGORIES:
        share = sum(t.category == category for t in parents.values()) / len(parents)
        assert abs(sum(t.category == category for t in made) - 40 * share) < 7
    assert all(parents[task.parent].category == task.category for task in made)
    assert len({task.id for task in made}) == 40


def test_seeds_that_were_given_up_are_kept_with_their_history(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "tasks.jsonl", {})
    list(collector.run(40, in_threads(maker(), 1)))
    lines = (tmp_path / "tasks.jsonl.given_up.jsonl").read_text().splitlines()
    lost = [json.loads(line)["given up"] for line in lines]
    assert lost
    assert {row["parent"] for row in lost} <= {task.id for task in world().parents}
    assert {len(row["failures"]) for row in lost} == {3}
    assert all(f["type"] and f["advice"] for row in lost for f in row["failures"])


def test_another_order_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "tasks.jsonl"
    make(out, 1)
    kept = out.with_name("tasks.jsonl.part").read_bytes()
    with pytest.raises(UserError, match="other settings"):
        make(out, seed=6)
    assert out.with_name("tasks.jsonl.part").read_bytes() == kept


class Stuck:
    """A planner that never finds a plan."""

    def plan(self, parent: Task, history: History, rng: random.Random, *, keep: bool) -> Plan:
        raise SynthesisError(Kind.NO_PATTERN)


def test_barren_seeds_end_the_run(tmp_path: Path) -> None:
    pipeline = replace(maker().pipeline, planner=Stuck())
    barren = JobRunner(pipeline, world().parents, random_seed=1, size=64)
    collector = Collector(tmp_path / "tasks.jsonl", {})
    with pytest.raises(UserError, match="only 0 of 3 tasks"):
        list(collector.run(3, in_threads(barren, 1)))
    assert collector.funnel == {
        "tried": collector.funnel["tried"],
        "no_pattern": collector.funnel["tried"],
    }


@dataclass
class Ailing:
    """A planner that raises at some attempts, or always."""

    planner: Planner
    every: int
    tried: int = 0

    def plan(self, parent: Task, history: History, rng: random.Random, *, keep: bool) -> Plan:
        self.tried += 1
        if self.tried % self.every == 0:
            raise ZeroDivisionError("a part of it is broken")
        return self.planner.plan(parent, history, rng, keep=keep)


def ailing(every: int) -> JobRunner:
    pipeline = maker().pipeline
    broken = replace(pipeline, planner=Ailing(pipeline.planner, every))
    return JobRunner(broken, world().parents, random_seed=1, size=4)


def test_an_exception_ends_its_job_only(tmp_path: Path) -> None:
    said: list[str] = []
    collector = Collector(tmp_path / "tasks.jsonl", {}, notice=said.append)
    list(collector.run(WANTED, in_threads(ailing(7), 1)))
    assert len(read_tasks(tmp_path / "tasks.jsonl")) == WANTED
    lines = (tmp_path / "tasks.jsonl.given_up.jsonl").read_text().splitlines()
    lost = [row for line in lines if "error" in (row := json.loads(line)["given up"])]
    assert len(lost) == collector.funnel["error"] == collector.errors.total > 1
    error = "ZeroDivisionError: a part of it is broken"
    assert {row["error"] for row in lost} == {error}
    assert ["traceback" in row for row in lost] == [True] + [False] * (len(lost) - 1)
    assert "in plan" in lost[0]["traceback"]
    message = f"an error in synthesis: {error}; its traceback goes to tasks.jsonl.given_up.jsonl"
    assert said == [message]


def test_exceptions_in_a_row_end_the_run(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "tasks.jsonl", {}, notice=lambda line: None)
    message = "only 0 of 3 tasks .*; 10 errors in a row; last: ZeroDivisionError: .*jsonl.part"
    with pytest.raises(UserError, match=message):
        list(collector.run(3, in_threads(ailing(1), 1)))
    assert '"traceback"' in (tmp_path / "tasks.jsonl.part").read_text()


@dataclass
class Choosy:
    """A planner that raises for some parents."""

    planner: Planner

    def plan(self, parent: Task, history: History, rng: random.Random, *, keep: bool) -> Plan:
        if parent.id < "5":
            raise ZeroDivisionError("a part of it is broken")
        return self.planner.plan(parent, history, rng, keep=keep)


def test_errors_are_kept_alike_after_an_interruption(tmp_path: Path) -> None:
    pipeline = replace(maker().pipeline, planner=Choosy(maker().pipeline.planner))
    runner = JobRunner(pipeline, world().parents, random_seed=1, size=4)
    found, reported = [], []
    for name, stops in (("whole", ()), ("torn", (1, 2, 1))):
        for batches in (*stops, 1000):
            collector = Collector(tmp_path / name, {}, notice=reported.append)
            made = collector.run(WANTED, in_threads(runner, 1))
            for _, _ in zip(range(batches), made, strict=False):
                pass
            made.close()
        assert collector.errors.total == collector.funnel["error"] > 1
        found.append((tmp_path / f"{name}.given_up.jsonl").read_bytes())
    assert found[0] == found[1] and found[0].count(b'"traceback"') == 1
    assert len(reported) == 2


@pytest.mark.parametrize(
    "damaged",
    [
        {"category": 3},
        {"batches": 2},
        {"funnel": {"tried": 1}, "passed": [1, 2], "batches": 1},
        {"funnel": {"tried": "x"}, "passed": {}, "batches": 1},
        {"funnel": {}, "passed": {}, "batches": "x"},
        {"funnel": {}, "passed": {}, "batches": -1},
        {},
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, damaged: dict[str, object]) -> None:
    out = tmp_path / "tasks.jsonl"
    make(out, 2)
    part = out.with_name("tasks.jsonl.part")
    first, *others = part.read_text().splitlines()
    part.write_text("\n".join([first, json.dumps(damaged), *others]) + "\n")
    kept = part.read_bytes()
    with pytest.raises(UserError) as caught:
        make(out)
    message = f"{part}: line 2 is damaged; remove the file to start again"
    assert str(caught.value) == message and part.read_bytes() == kept


class Unusable:
    """A planner that a person must do something about."""

    def plan(self, parent: Task, history: History, rng: random.Random, *, keep: bool) -> Plan:
        raise UserError("endpoint: no such model")


def test_what_a_person_must_mend_ends_the_run_at_once(tmp_path: Path) -> None:
    pipeline = replace(maker().pipeline, planner=Unusable())
    collector = Collector(tmp_path / "tasks.jsonl", {})
    with pytest.raises(UserError, match=r"^endpoint: no such model$"):
        list(collector.run(3, in_threads(JobRunner(pipeline, world().parents, random_seed=1), 1)))
    assert collector.funnel == {}
