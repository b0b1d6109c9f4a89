"""Jobs and candidates: which is next, which is still needed, each stored whole or not at all."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubles import make_task
from rods.curriculum.pool import Event
from rods.curriculum.selector import Parent
from rods.errors import UserError
from rods.job_result import JobResult, Spent
from rods.store.account import Account
from rods.store.queue import TRIES, Queue
from rods.store.schema import Candidate, Fates, Job
from rods.store.store import Store
from rods.task import Task

PARENT = make_task("parent")
PATIENCE = 2


def open_queue(folder: Path, patience: int = PATIENCE) -> Queue:
    """Of a run with one task."""
    store = Store(folder, durable=False)
    store.add_tasks([PARENT], 0)
    store.queue.patience = patience
    return store.queue


@pytest.fixture
def queue(tmp_path: Path):
    found = open_queue(tmp_path)
    yield found
    found.store.close()


def add(queue: Queue, *jobs: Job) -> None:
    for job in jobs:
        queue.add_jobs(job.step, job.epoch, [Parent(job.task_id, "base", job.priority)])


def variant(name: str, parent: Task = PARENT) -> Task:
    return make_task(name, origin="renamed", parent=parent.id, born=1)


def made(*variants: Task, outcome: str = "made") -> JobResult:
    return JobResult(outcome, list(variants), {"tried": 2, "refused": 0}, [{"parent": "p"}], 0.5)


def inject(queue: Queue, step: int, *tasks: Task) -> None:
    queue.store.add_events(Event(step, 1, task.id, "injected", task.parent) for task in tasks)


def counted(queue: Queue) -> list[int]:
    tables = ("candidates", "funnel", "failures")
    assert queue.db.read("SELECT COUNT(*) FROM tasks")[0][0] == 1 + len([*queue.candidates()])
    return [queue.db.read(f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables]


jobs = st.builds(
    Job,
    step=st.integers(1, 4),
    epoch=st.integers(0, 4),
    task_id=st.sampled_from("abcd"),
    priority=st.sampled_from([0.0, 0.5, 1.0]),
)


@settings(max_examples=40)
@given(st.lists(jobs), st.lists(jobs), st.lists(jobs), st.integers(0, 4), st.integers(0, 3))
def test_the_next_job(
    some: list[Job], finished: list[Job], begun: list[Job], epoch: int, patience: int
) -> None:
    """The latest epoch first, then the best, ties by step and task; each at most once."""
    with TemporaryDirectory() as folder:
        queue = open_queue(Path(folder), patience)
        add(queue, *some, *some)
        for job in finished:
            queue.finish(job, made(), 1)
        for job in begun:
            queue.take(job)
        first = {(job.task_id, job.step): job for job in reversed(some)}
        taken = {key: sum((b.task_id, b.step) == key for b in begun) for key in first}
        left = [
            job._replace(taken=taken[key])
            for key, job in first.items()
            if key not in {(done.task_id, done.step) for done in finished}
            and job.epoch >= epoch - patience
            and taken[key] < TRIES
        ]
        left.sort(key=lambda job: (-job.epoch, -job.priority, job.step, job.task_id))
        assert queue.open_jobs(epoch) == left
        assert queue.next_job(epoch) == next(iter(left), None)
        assert queue.counts(epoch) == (len(left), 0)
        queue.store.close()


def test_a_job_is_added_once(queue: Queue) -> None:
    job = Job(3, 1, PARENT.id, 0.5)
    add(queue, job)
    queue.take(job)
    add(queue, job._replace(priority=0.9))
    assert queue.open_jobs(1) == [job._replace(taken=1)]
    queue.finish(job, made(), 4)
    add(queue, job)
    assert queue.open_jobs(1) == []
    assert queue.outcomes() == {"made": 1}
    assert queue.seconds() == 0.5


def test_a_job_that_kills_workers_is_left(queue: Queue) -> None:
    job = Job(3, 1, PARENT.id, 0.5)
    add(queue, job)
    for tried in range(TRIES):
        assert queue.open_jobs(1) == [job._replace(taken=tried)]
        queue.take(job)
    assert queue.open_jobs(1) == []


candidates = st.dictionaries(
    st.sampled_from([f"v{i}" for i in range(8)]),
    st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.5, 1.0])),
)


@settings(max_examples=40)
@given(candidates, st.sets(st.integers(0, 7)), st.integers(0, 4))
def test_who_waits(found: dict[str, tuple[int, float]], taken: set[int], epoch: int) -> None:
    """Whoever is still wanted and is no task, and again once the trainer went back."""
    with TemporaryDirectory() as folder:
        queue = open_queue(Path(folder))
        tasks = {name: variant(name) for name in found}
        for name, (chosen, priority) in found.items():
            job = Job(1, chosen, name, priority)
            add(queue, job)
            queue.finish(job, made(tasks[name]), 1)
        ranked = sorted(found, key=lambda n: (-found[n][0], -found[n][1], tasks[n].id))
        wanted = [name for name in ranked if found[name][0] >= epoch - PATIENCE]
        joined = [name for name in wanted if int(name[1]) in taken]
        inject(queue, 5, *(tasks[name] for name in joined))

        def waiting() -> list[str]:
            known = {tasks[name].id: name for name in tasks}
            assert queue.counts(epoch)[1] == len(queue.waiting(epoch))
            return [known[candidate.task_id] for candidate in queue.waiting(epoch)]

        assert waiting() == [name for name in wanted if name not in joined]
        queue.store.rollback(5, queues=False)
        assert waiting() == [name for name in wanted if name not in joined]
        queue.store.rollback(4, queues=False)
        assert waiting() == wanted
        queue.store.close()


def test_what_became_of_those_that_were_made(queue: Queue) -> None:
    """And that those which expired have their share in what all of them took."""
    for epoch in range(4):
        job = Job(1 + epoch, epoch, PARENT.id, 0.5)
        add(queue, job, job._replace(step=9 + epoch))
        done = made(variant(f"v{epoch}"))._replace(spent=Spent(100, 10, 0.5))
        queue.finish(job, done, 2 + epoch)
        queue.finish(
            job._replace(step=9 + epoch), JobResult("given up", [], {}, [], 1.5), 2 + epoch
        )
    inject(queue, 3, next(queue.candidates()))
    assert queue.fates(2) == Fates(4, 1, 3, 0)
    assert queue.fates(4) == Fates(4, 1, 2, 1)
    queue.store.epochs.add(4, 9, [])
    account = Account.of(queue.store)
    assert (account.seconds, account.spent) == (8.0, Spent(400, 40, 2.0))
    assert account.lost == (2.0, Spent(100, 10, 0.5))
    assert account.summary()["expired"] == {
        "seconds": 2.0, "tokens_in": 100, "tokens_out": 10, "cost": 0.5
    }  # fmt: skip
    assert account.sentence() == (
        "4 variants were made: 1 joined the pool, 2 wait, 1 expired. It took 8 s, 400 tokens read"
        " and 40 written by the model (cost 2.00). Of this, expired variants took 2 s, 100 tokens"
        " read and 10 written by the model (cost 0.50)."
    )
    queue.store.rollback(3, queues=True)
    assert (queue.fates(4), queue.spent()) == (Fates(2, 1, 0, 1), Spent(200, 20, 1.0))


def test_a_candidate_becomes_the_task_that_was_made(queue: Queue) -> None:
    job, task = Job(1, 0, PARENT.id, 0.5), variant("v")
    add(queue, job)
    queue.finish(job, made(task), 1)
    assert queue.waiting(0) == [Candidate(task.id, PARENT.id, "base")]
    assert queue.parent(job._replace(task_id=task.id)) == task
    inject(queue, 2, task)
    assert queue.store.tasks([task.id]) == {task.id: task}
    assert queue.store.categories()[task.id] == "base"
    assert queue.parent(job._replace(task_id=task.id)) == task
    assert list(queue.candidates()) == [task]


def test_a_variant_waits_for_its_parent(queue: Queue) -> None:
    """The trainer went back, and a task that was varied meanwhile is a candidate again."""
    first, second = variant("first"), variant("second", parent=variant("first"))
    for epoch, task in enumerate((first, second)):
        job = Job(1 + epoch, epoch, task.parent, 0.5)
        add(queue, job)
        queue.finish(job, made(task), 1)
    assert [c.task_id for c in queue.waiting(1)] == [first.id]
    assert queue.counts(1)[1] == 1
    inject(queue, 2, first)
    assert [c.task_id for c in queue.waiting(1)] == [second.id]
    queue.store.rollback(1, queues=False)
    assert [c.task_id for c in queue.waiting(1)] == [first.id]


def test_a_candidate_whose_id_was_lost_is_told(queue: Queue) -> None:
    job = Job(1, 0, PARENT.id, 0.5)
    add(queue, job)
    queue.finish(job, made(variant("v")), 1)
    queue.db.write("UPDATE candidates SET id = NULL")
    with pytest.raises(UserError, match="task None is not stored; it is damaged"):
        list(queue.candidates())


def test_a_parent_that_is_nowhere(queue: Queue) -> None:
    with pytest.raises(UserError, match="task gone is not stored"):
        queue.parent(Job(1, 0, "gone", 0.5))


def test_a_variant_that_is_stored_already_is_no_new_candidate(queue: Queue) -> None:
    one, other = Job(1, 0, PARENT.id, 0.5), Job(2, 1, PARENT.id, 0.9)
    add(queue, one, other)
    queue.finish(one, made(variant("v")), 1)
    before = queue.db.read("SELECT * FROM tasks"), queue.db.read("SELECT * FROM candidates")
    queue.finish(other, made(variant("v"), PARENT), 2)
    after = queue.db.read("SELECT * FROM tasks"), queue.db.read("SELECT * FROM candidates")
    assert after == before
    assert queue.open_jobs(1) == []


@pytest.mark.parametrize("table", ["candidates", "tasks", "funnel", "failures", "jobs"])
def test_an_outcome_is_kept_whole_or_not_at_all(queue: Queue, table: str) -> None:
    job = Job(1, 0, PARENT.id, 0.5)
    add(queue, job)
    with sqlite3.connect(queue.db.path) as db:
        change = "UPDATE" if table == "jobs" else "INSERT"
        db.execute(
            f"CREATE TRIGGER no BEFORE {change} ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    db.close()
    with pytest.raises(UserError, match=r"run\.sqlite: no"):
        queue.finish(job, made(variant("v")), 1)
    assert counted(queue) == [0, 0, 0]
    assert queue.open_jobs(0) == [job]
    queue.db.write("DROP TRIGGER no")
    queue.finish(job, made(variant("v")), 1)
    assert counted(queue) == [1, 1, 1], "what did not happen is not counted"
    assert queue.open_jobs(0) == []


def test_going_back_makes_again_what_the_trainer_makes_itself(queue: Queue) -> None:
    early, late = Job(1, 0, "early", 0.5), Job(3, 0, "late", 0.5)
    add(queue, early, late)
    queue.take(early)
    queue.finish(early, made(variant("v")), 3)
    queue.store.rollback(3, queues=True)
    assert (queue.open_jobs(0), counted(queue)) == ([late], [1, 1, 1])
    queue.store.rollback(2, queues=False)
    assert (queue.open_jobs(0), counted(queue)) == ([late], [1, 1, 1])
    queue.store.rollback(2, queues=True)
    assert (queue.open_jobs(0), counted(queue)) == ([early], [0, 0, 0])
