"""Variants that other processes make before their turn are those that one process makes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubles import SEEDS, RenamingSynthesis, make_config, steps, with_signal
from rods.config import Config
from rods.errors import UserError
from rods.loop import Loop
from rods.store.queue import TRIES
from rods.store.store import Store
from rods.synthesis.ahead import Ahead, Checked, Done, LostWork, Pending, Work, do_work
from rods.synthesis.critique import Question
from rods.synthesis.inputs import benchmark_inputs
from rods.synthesis.pipeline import Pipeline
from rods.synthesis.worker import Producer
from rods.task import Task

EPOCHS = 3


class Crowded(RenamingSynthesis):
    """Often near a task that exists: two tasks with the same length of the first word are."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: dict[str, int] = {}
        self.asked: list[Question] | None = None

    def learn(self, task: Task) -> None:
        super().learn(task)
        self.lengths[task.id] = _mark(task)

    def fault(self, task: Task) -> str:
        fault = "duplicate" if task.id in self.known else ""
        fault = fault or ("near" if _mark(task) in self.lengths.values() else "")
        if self.asked is not None:
            self.asked.append(Question(task, fault))
        return fault

    @contextmanager
    def questions(self) -> Iterator[list[Question]]:
        self.asked = asked = list[Question]()
        yield asked
        self.asked = None

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        for _ in range(3):
            self.funnel["tried"] += 1
            task = self._renamed(parent, rng, epoch, parent.id)
            if fault := self.fault(task):
                self.funnel[fault] += 1
                rng.random()  # what follows depends on the refusal
                continue
            return task
        self.given_up.append({"parent": parent.id})
        return None


def _mark(task: Task) -> int:
    return sum(map(ord, task.turns[0].user)) % 40


class Ordered:
    """A work that is done at a random moment, or never."""

    def __init__(self, others: Others, work: Work) -> None:
        self.others, self.work = others, work
        self.found: Done | None = None
        self.lost = others.rng.random() < others.deaths

    def run(self) -> None:
        if not self.lost:
            self.found = self.found or do_work(self.others.synthesis, self.work)

    def done(self) -> bool:
        return self.lost or self.found is not None

    def result(self) -> Done:
        self.others.run_some()
        self.run()
        if self.found is None:
            raise LostWork("a worker has died")
        return self.found


class Others:
    """Test double for other processes: they do works in random order, learn late, and die.

    Args:
        deaths: share of works whose process dies.
        deaf: share of tasks that they are never told of.
    """

    def __init__(
        self,
        seed: int,
        most: int,
        deaths: float = 0.0,
        deaf: float = 0.0,
        synthesis: Checked | None = None,
    ) -> None:
        self.rng, self.most, self.deaths, self.deaf = random.Random(seed), most, deaths, deaf
        self.synthesis = synthesis or Crowded()
        self.works: list[Ordered] = []
        self.told: list[Task] = []
        self.longest = 0

    def submit(self, work: Work) -> Pending:
        self.works.append(Ordered(self, work))
        self.longest = max(self.longest, sum(not w.done() for w in self.works))
        return self.works[-1]

    def learn(self, tasks: Sequence[Task]) -> None:
        self.told += [task for task in tasks if self.rng.random() >= self.deaf]

    def run_some(self) -> None:
        for work in self.rng.sample(self.works, self.rng.randint(0, len(self.works))):
            if self.rng.random() < 0.5:
                self._hear()
            work.run()

    def _hear(self) -> None:
        for _ in range(self.rng.randint(0, len(self.told))):
            self.synthesis.learn(self.told.pop(0))


def run(
    config: Config,
    folder: Path,
    others: Others | None,
    synthesis: Checked | None = None,
    seeds: Sequence[Task] = SEEDS,
) -> tuple[Loop, dict[str, object]]:
    """All that a run stores of its synthesis, but not how long it took."""
    store = Store(folder, durable=False)
    loop = Loop(config, store, seeds, synthesis or Crowded(), executor=others)
    for _ in range(EPOCHS):
        for tasks in steps(loop):
            loop.add_groups(with_signal(tasks))
        loop.end_epoch()
    read = loop.store.db.read
    return loop, {
        "events": loop.store.events(),
        "made": [task.model_dump() for task in loop.queue.candidates()],
        "jobs": read("SELECT step, epoch, task_id, outcome, done FROM jobs ORDER BY step, task_id"),
        "funnel": read("SELECT * FROM funnel ORDER BY rowid"),
        "failures": read("SELECT * FROM failures ORDER BY rowid"),
    }


def crowded(surplus: float = 1.0, beta: float = 1.0) -> Config:
    return make_config(
        boundary={"cooldown": 0, "quota": 9},
        pool={"beta": beta, "p_max": 40, "burn_in": 0.0},
        synthesis={"surplus": surplus},
    )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 999), st.integers(1, 9), st.sampled_from([0.0, 0.3, 0.9]),
    st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from([0.3, 1.0]),
)  # fmt: skip
def test_the_same_variants_as_in_one_process(
    seed: int, most: int, deaf: float, surplus: float, beta: float
) -> None:
    config, others = crowded(surplus, beta), Others(seed, most, deaf=deaf)
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        alone, expected = run(config, Path(one), None)
        loop, found = run(config, Path(two), others)
        assert found == expected
        assert others.longest <= most + 1  # and the one whose turn it is
        assert loop.producer.ahead and loop.producer.ahead.taken
        alone.store.close()
        loop.store.close()


def test_variants_are_made_again_where_the_tasks_matter(tmp_path: Path) -> None:
    """Otherwise the test above would show little."""
    loop, _ = run(crowded(), tmp_path, Others(0, 8, deaf=0.9))
    assert loop.producer.ahead is not None
    assert loop.producer.ahead.again > 3 and loop.producer.ahead.taken > 3
    loop.store.close()


class DyingTwice(Others):
    """The process of each work dies twice, which is once less than a job may start."""

    def submit(self, work: Work) -> Pending:
        pending = super().submit(work)
        same = sum(other.work.seed == work.seed for other in self.works)
        self.works[-1].lost = same < TRIES
        return pending


def test_a_death_costs_time_only(tmp_path: Path) -> None:
    alone, expected = run(crowded(), tmp_path / "one", None)
    loop, found = run(crowded(), tmp_path / "two", DyingTwice(0, 4))
    assert found == expected
    taken = loop.store.db.read("SELECT DISTINCT taken FROM jobs WHERE outcome != ''")
    assert taken == [(TRIES,)]
    for each in (alone, loop):
        each.store.close()


def test_a_job_whose_processes_always_die_is_given_up(tmp_path: Path) -> None:
    notices = list[str]()
    others = Others(0, 4, deaths=1.0)
    store = Store(tmp_path, durable=False)
    loop = Loop(crowded(), store, SEEDS, Crowded(), notice=notices.append, executor=others)
    for tasks in steps(loop):
        loop.add_groups(with_signal(tasks))
    loop.end_epoch()
    assert loop.queue.outcomes() == {"": len(SEEDS)}
    assert loop.queue.open_jobs(0) == []
    assert notices == [f"a job is given up after {TRIES} starts: a worker has died"] * len(SEEDS)
    store.close()


def test_works_that_are_not_needed_any_more_count_until_they_end(tmp_path: Path) -> None:
    others = Others(0, 2)
    ahead = Ahead(Crowded(), others)
    works = [Work(SEEDS[0], str(i), 0) for i in range(5)]
    ahead.begin(iter(works))
    ahead.drop()
    ahead.begin(iter(works))
    assert len(others.works) == 2
    others.works[0].run()
    ahead.begin(iter(works[2:]))
    assert [w.work.seed for w in others.works] == ["0", "1", "2"]
    assert "2" in ahead and "0" not in ahead


def test_other_synthesis_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path, durable=False)
    with pytest.raises(UserError, match="cannot be done by other processes"):
        Producer(store, RenamingSynthesis(), crowded(), executor=Others(0, 1))
    assert isinstance(Crowded(), Checked)
    store.close()


def test_near_copies_of_real_tasks(tmp_path: Path) -> None:
    """Short tasks of the benchmark with the same tools: some variants are near each other."""
    inputs = benchmark_inputs()
    seeds = sorted(inputs.parents, key=lambda task: len(task.calls))[:6]

    def program() -> Pipeline:
        return replace(inputs.pipeline(), replan=False)

    others = Others(0, 6, deaf=1.0, synthesis=program())
    alone, expected = run(crowded(surplus=3.0), tmp_path / "one", None, program(), seeds)
    loop, found = run(crowded(surplus=3.0), tmp_path / "two", others, program(), seeds)
    assert found == expected
    assert loop.producer.ahead is not None
    assert loop.producer.ahead.again and loop.producer.ahead.taken
    for each in (alone, loop):
        each.store.close()
