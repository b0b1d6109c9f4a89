"""The worker beside the trainer: what it makes, and that no crash of either loses or doubles it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from math import floor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from doubles import SEEDS, RenamingSynthesis, faults_of, go, make_config, play, steps, with_signal
from rods.config import Config
from rods.curriculum.selector import Parent
from rods.errors import BusyError
from rods.group import Group
from rods.job_result import MAX_LINE
from rods.loop import Loop
from rods.store.account import Account
from rods.store.queue import Queue
from rods.store.schema import Job
from rods.store.store import Store
from rods.synthesis.worker import Producer, SynthesisWorker, WorkerProgress
from rods.task import Task

PATIENCE = 300.0  # seconds until a test says that something never happens


def background(size: int = 2, **sections: object) -> Config:
    """Variants are made by a worker."""
    counts = sections.pop("synthesis", {})
    return make_config(size, synthesis={"mode": "background", **counts}, **sections)  # type: ignore[dict-item]


def trainer(config: Config, folder: Path, step: int = 0) -> Loop:
    """A new process at this checkpoint."""
    return Loop(config, Store(folder, durable=False), SEEDS, step=step)


class Beside:
    """A new process beside the trainer."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.store = Store(folder, role="worker", durable=False)
        self.queue = self.store.queue
        self.queue.patience = config.synthesis.patience
        self.synthesis = RenamingSynthesis()
        self.producer = Producer(self.store, self.synthesis, config)
        self.producer.catch_up()

    def next_job(self) -> Job | None:
        return next(iter(self.queue.open_jobs(self.store.epochs.last_index())), None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a run that has chosen seeds in its first epoch."""
    loop = trainer(background(pool={"beta": 1.0}), tmp_path)
    for tasks in steps(loop):
        loop.add_groups(with_signal(tasks))
    assert len(loop.queue.open_jobs(0)) == len(SEEDS)
    loop.store.close()
    return tmp_path


def work(
    folder: Path, synthesis: RenamingSynthesis | None = None, stop: int = 99, **settings: object
) -> tuple[WorkerProgress, list[WorkerProgress]]:
    """A worker until nothing is left, or until it was asked so often whether to stop."""
    counts: list[WorkerProgress] = []
    store = Store(folder, role="worker", durable=False)
    asked = iter(range(99))
    config = background(pool={"beta": 1.0}, synthesis=settings)
    worker = SynthesisWorker(
        config,
        store,
        synthesis or RenamingSynthesis(),
        lambda: next(asked) >= stop,
        counts.append,
        0,
    )
    try:
        return worker.run(once=True), counts
    finally:
        store.close()


def queue_of(folder: Path) -> Queue:
    queue = Store(folder, role="reader").queue
    queue.patience = 1
    return queue


class Failing(RenamingSynthesis):
    """Test double that cannot vary some tasks.

    Args:
        error: that it raises then; None for giving up.
    """

    def __init__(self, bad: Sequence[Task], error: BaseException | None = None) -> None:
        super().__init__()
        self.bad, self.error = {task.id for task in bad}, error

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        if parent.id not in self.bad:
            return super().vary(parent, rng, epoch)
        self.funnel["tried"] += 1
        if self.error:
            raise self.error
        self.given_up.append({"parent": parent.id})
        return None


def test_it_does_the_jobs_that_there_are(folder: Path) -> None:
    bad = SEEDS[2:5]
    count, counts = work(folder, Failing(bad))
    queue = queue_of(folder)
    made = list(queue.candidates())
    assert count == counts[-1] == WorkerProgress(len(SEEDS), len(made), 0, len(made), len(SEEDS))
    assert [c.jobs for c in counts[:-1]] == list(range(1, len(SEEDS) + 1))
    assert {task.parent for task in made} == {task.id for task in SEEDS if task not in bad}
    assert all(task.born == 1 for task in made)
    assert queue.outcomes() == {"made": len(made), "given up": len(bad)}
    assert queue.store.funnel()["admitted"] == len(made)
    parents = queue.db.read("SELECT parent FROM failures")
    assert sorted(parents) == sorted((task.id,) for task in bad)
    queue.store.close()


def test_it_pauses_where_enough_waits(folder: Path) -> None:
    count, _ = work(folder, waiting=2)
    assert (count.waiting, count.candidates) == (2, 2)
    assert count.open == len(SEEDS) - count.jobs > 0
    count, _ = work(folder, waiting=2)
    assert count.jobs == 0
    loop = trainer(background(pool={"beta": 1.0}), folder, step=4)
    assert sum(e.kind == "injected" for e in loop.end_epoch()) == 2
    loop.next_tasks()
    loop.store.close()
    count, _ = work(folder, waiting=2)
    assert count.candidates == 2


def beside_by_turns(
    folder: Path, epochs: int, until: int | None = None, **sections: object
) -> tuple[Loop, list[tuple[int, int, int]]]:
    """A trainer whose groups all have a signal, and a worker that may work before each end.

    Returns:
        What the worker took for enough, how many candidates waited then, and how many joined.
    """
    config, found = background(1, boundary={"cooldown": 0, "quota": 9}, **sections), []
    loop = trainer(config, folder)
    loop.until = until
    for _ in range(epochs):
        for tasks in steps(loop):
            loop.add_groups(with_signal(tasks))
        store = Store(folder, role="worker", durable=False)
        count = SynthesisWorker(config, store, RenamingSynthesis(), pause=0).run(once=True)
        store.close()
        events = loop.end_epoch() if loop.epoch_done() else []  # else the trainer has ended
        joined = sum(event.kind == "injected" for event in events)
        found.append((count.bound, count.waiting, joined))
    return loop, found


@pytest.mark.parametrize(
    ("beta", "p_max", "found"),
    [
        (0.2, 400, [(1, 1, 1), (2, 2, 2), (2, 2, 2)]),  # 8 / 5, 3 / 5 + 9 / 5, 2 / 5 + 11 / 5
        (0.1, 400, [(0, 0, 0), (1, 1, 1), (1, 1, 1)]),
        (1.0, 2, [(2, 2, 2), (2, 2, 2), (2, 2, 2)]),
        (0.0, 400, [(0, 0, 0)] * 3),
    ],
)
def test_it_makes_what_the_next_end_can_take_in(
    tmp_path: Path, beta: float, p_max: int, found: list[tuple[int, int, int]]
) -> None:
    """By the tasks that there are: the user's own, of which there are fewer than `pool.seeds`."""
    loop, by_epoch = beside_by_turns(
        tmp_path, 3, pool={"seeds": 400, "beta": beta, "p_max": p_max, "burn_in": 0.0}
    )
    assert by_epoch == found
    assert loop.queue.waiting(2) == []
    fates = loop.queue.fates(2)
    assert (fates.made, fates.expired) == (sum(joined for *_, joined in found), 0)
    loop.store.close()


def test_an_explicit_number_is_enough(tmp_path: Path) -> None:
    pool, counts = {"seeds": 400, "beta": 0.2}, {"waiting": 4, "patience": 0}
    loop, found = beside_by_turns(tmp_path, 2, pool=pool, synthesis=counts)
    assert found == [(4, 4, 1), (4, 4, 2)]
    account = Account.of(loop.store)
    assert account.fates == (8, 3, 2, 3)
    loop.next_tasks()
    assert Account.of(loop.store).fates == (8, 3, 0, 5)
    loop.store.close()


def test_nothing_is_made_for_an_end_that_takes_nothing_in(tmp_path: Path) -> None:
    """The second stage does not expand, and jobs of the first are still wanted then."""
    stages = [{"epochs": 1}, {"expand": False, "epochs": 1}, {}]
    _, found = beside_by_turns(tmp_path / "stages", 3, pool={"beta": 0.25}, stages=stages)
    assert found == [(2, 2, 2), (0, 0, 0), (2, 2, 2)]
    # The trainer ends within its second epoch, after 12 steps, or just with it.
    for until in (12, 18):
        folder = tmp_path / str(until)
        _, found = beside_by_turns(folder, 2, until, pool={"beta": 0.25})
        assert found[1] == (0, 0, 0)


def test_an_exception_is_an_outcome(folder: Path) -> None:
    bad = [SEEDS[0], SEEDS[3]]
    count, _ = work(folder, Failing(bad, ValueError("no such tool " + "x" * 9999)))
    assert (count.jobs, count.open, count.errors, count.gave_up) == (len(SEEDS), 0, 2, "")
    queue = queue_of(folder)
    outcomes = dict(queue.db.read("SELECT task_id, outcome FROM jobs"))
    assert [outcomes.pop(task.id) for task in bad] == ["error", "error"]
    assert set(outcomes.values()) == {"made"}
    lines = queue.db.read("SELECT task_id, error FROM errors")
    assert {task_id for task_id, _ in lines} == {task.id for task in bad}
    for _, line in lines:
        assert line.startswith("ValueError: no such tool xxx")
        assert len(line) == MAX_LINE
    tried = "SELECT SUM(count) FROM funnel WHERE parent = ? AND outcome = 'tried'"
    assert queue.db.read(tried, bad[0].id) == [(1,)]
    queue.store.close()


def test_an_interruption_is_none(folder: Path) -> None:
    """The job is open as it was, and the next worker does it as the first would have."""
    bad = SEEDS[3]
    with pytest.raises(KeyboardInterrupt):
        work(folder, Failing([bad], KeyboardInterrupt()))
    queue = queue_of(folder)
    (job,) = [job for job in queue.open_jobs(0) if job.task_id == bad.id]
    assert job.taken == 1
    work(folder)
    made = {task.parent: task for task in queue.candidates()}
    rng = random.Random(f"0 {job.step} {bad.id}")
    assert made[bad.id] == RenamingSynthesis(SEEDS).vary(bad, rng, 1)
    queue.store.close()


def test_it_stops_between_jobs(folder: Path) -> None:
    count, _ = work(folder, stop=3)
    assert (count.jobs, count.open) == (3, len(SEEDS) - 3)
    queue = queue_of(folder)
    assert [job.taken for job in queue.open_jobs(0)] == [0] * count.open
    queue.store.close()


def test_one_worker_at_a_time(folder: Path) -> None:
    first = Store(folder, role="worker")
    with pytest.raises(BusyError, match="another worker is at work here"):
        work(folder)
    first.close()
    assert work(folder)[0].jobs == len(SEEDS)


def test_a_variant_of_a_candidate(folder: Path) -> None:
    """The trainer went back to before that was injected, and its job is still there."""
    work(folder)
    queue = Store(folder).queue
    first = next(queue.candidates())
    queue.add_jobs(5, 1, [Parent(first.id, "base", 0.5)])
    queue.store.close()
    for _ in range(3):  # the double may give nothing
        work(folder, waiting=99)
    queue = queue_of(folder)
    assert first.id in {task.parent for task in queue.candidates()}
    assert first.id not in queue.store.categories()
    queue.store.close()


def test_it_knows_what_exists(folder: Path) -> None:
    work(folder)
    worker = Beside(folder, background())
    queue = worker.queue
    assert worker.synthesis.known == {t.id for t in (*SEEDS, *queue.candidates())}
    worker.store.close()


def test_while_there_is_nothing_to_do(folder: Path) -> None:
    work(folder)
    store, counts = Store(folder, role="worker"), list[WorkerProgress]()
    config = background(pool={"beta": 1.0})
    SynthesisWorker(
        config, store, RenamingSynthesis(), lambda: len(counts) == 3, counts.append, 0
    ).run()
    assert counts == [counts[0]] * 3
    assert (counts[0].jobs, counts[0].open) == (0, 0)
    store.close()


def train_until_injected(loop: Loop, steps: int) -> None:
    """So many steps at least, and until something of the worker's has come."""
    last, end = loop.step + steps, time.monotonic() + PATIENCE
    before = loop.curriculum.pool.injected
    while loop.step < last or loop.curriculum.pool.injected == before:
        assert time.monotonic() < end, "nothing of the worker's ever comes"
        go(loop, loop.step + 1)
        time.sleep(0.001)


def check(loop: Loop) -> None:
    """The history keeps its promises, and all that was injected is a candidate, once."""
    assert faults_of(loop.store, loop.config) == []
    joined = Counter(e.task_id for e in loop.store.events() if e.kind == "injected")
    assert set(joined.values()) <= {1}
    assert set(joined) <= {task.id for task in loop.queue.candidates()}


def test_beside_a_trainer(tmp_path: Path) -> None:
    """In a thread with a connection of its own, while the trainer goes back now and then."""
    config, stop = background(pool={"beta": 0.5, "p_max": 6}), threading.Event()
    loop = trainer(config, tmp_path)
    store = Store(tmp_path, role="worker", durable=False)
    worker = SynthesisWorker(config, store, RenamingSynthesis(), stop.is_set, pause=0.001)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        for back in (3, 8, 0):
            train_until_injected(loop, 12)
            loop.store.close()
            loop = trainer(config, tmp_path, step=loop.step - back)
            check(loop)
    finally:
        stop.set()
        thread.join()
        store.close()
    loop.store.close()


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from doubles import RenamingSynthesis, make_config
from rods.config import Config
from rods.synthesis.worker import SynthesisWorker
from rods.store.store import Store
store = Store(Path(sys.argv[1]), role="worker", durable=False)
config = Config.model_validate_json(sys.argv[3])
tell = lambda count: print(count.jobs, flush=True)
SynthesisWorker(config, store, RenamingSynthesis(), report=tell, pause=0.001).run()
"""


def test_beside_a_trainer_and_killed(tmp_path: Path) -> None:
    """In a process, which is killed after every third word."""
    config = background(pool={"beta": 0.5, "p_max": 6})
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", WORKER, str(tmp_path), here, config.model_dump_json()]
    loop, stop, deaths = trainer(config, tmp_path), threading.Event(), list[int]()

    def keep_killing() -> None:
        while not stop.is_set():
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                for _ in range(3):
                    process.stdout.readline()
                process.kill()
            deaths.append(process.returncode)

    thread = threading.Thread(target=keep_killing)
    thread.start()
    try:
        while len(deaths) < 4:
            train_until_injected(loop, 1)
    finally:
        stop.set()
        thread.join()
    assert set(deaths) == {-signal.SIGKILL}
    check(loop)
    loop.store.close()


class Crashes(RuleBasedStateMachine):
    """A trainer and a worker at one store; either may die at any moment."""

    @initialize(
        size=st.integers(1, 3), rule=st.sampled_from(["mean", "posterior"]),
        beta=st.sampled_from([0.2, 0.5, 1.0]), p_max=st.integers(1, 6),
        patience=st.integers(0, 2), floor=st.integers(0, 1),
    )  # fmt: skip
    def start(self, size, rule, beta, p_max, patience, floor) -> None:
        self.config = background(
            size,
            boundary={"rule": rule, "quota": 2},
            pool={"beta": beta, "p_max": p_max, "floor": floor},
            synthesis={"patience": patience},
        )
        self.folder = TemporaryDirectory()
        self.lives, self.checkpoint = 0, 0
        self.made: dict[str, Task] = {}
        self.trained: list[Group] = []
        self.loop = trainer(self.config, Path(self.folder.name))
        self.worker = Beside(Path(self.folder.name), self.config)

    @rule(steps=st.integers(1, 4))
    def train(self, steps: int = 1) -> None:
        for _ in range(steps):
            tasks = self.loop.next_tasks()
            self.trained += self.loop.add_groups(play(tasks, self.loop.step + 1, self.lives))

    @precondition(lambda self: self.loop.epoch_done())
    @rule()
    def end_epoch(self) -> None:
        pool, carried = self.loop.curriculum.pool, self.loop.curriculum.admission.carried
        members = len(pool.live) + len(pool.resting)
        events = self.loop.end_epoch()
        gone = sum(e.kind == "retired" and e.reason != "pruned" for e in events)
        joined = sum(e.kind == "injected" for e in events)
        beta = Fraction(str(self.config.pool.beta))
        assert joined <= floor(carried + beta * (members - gone))

    @rule()
    def save(self) -> None:
        self.checkpoint = self.loop.step

    @rule()
    def lose_the_trainer(self) -> None:
        """It is killed between two calls, and goes back to its checkpoint."""
        self.loop.store.close()
        self.lives += 1
        self.trained = [g for g in self.trained if g.step <= self.checkpoint]
        self.loop = trainer(self.config, Path(self.folder.name), step=self.checkpoint)

    @rule(call=st.sampled_from(["add_groups", "add_events", "epochs.add", "epochs.close"]))
    def lose_the_trainer_in_a_transaction(self, call: str) -> None:
        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        *part, name = call.split(".")
        setattr(self.loop.store.epochs if part else self.loop.store, name, killed)
        with suppress(KeyboardInterrupt):
            self.train()
        self.lose_the_trainer()

    @rule(jobs=st.integers(1, 6))
    def work(self, jobs: int) -> None:
        for _ in range(jobs):
            if job := self.worker.next_job():
                self.worker.producer.do(job, self.worker.store.last_step())
                for task in self.worker.queue.candidates():
                    self.made.setdefault(task.id, task)

    @rule(halfway=st.booleans())
    def lose_the_worker(self, halfway: bool) -> None:
        """Between two jobs, or after it began one."""
        if halfway and (job := self.worker.next_job()):
            self.worker.queue.take(job)
            self.worker.synthesis.vary(self.worker.queue.parent(job), random.Random(0), 1)
        self.worker.store.close()
        self.worker = Beside(Path(self.folder.name), self.config)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        store, queue = self.loop.store, self.loop.queue
        assert faults_of(store, self.config) == []
        assert store.groups() == self.trained
        assert {task.id: task for task in queue.candidates()} == self.made
        joined = Counter(e.task_id for e in store.events() if e.kind in ("seeded", "injected"))
        assert set(joined.values()) == {1}
        tasks, epoch = set(store.categories()), store.epochs.last_index()
        assert tasks == set(joined) == {t.id for t in SEEDS} | set(joined) & set(self.made)
        waiting = {candidate.task_id for candidate in queue.waiting(epoch)}
        assert not waiting & tasks
        oldest = epoch - self.config.synthesis.patience
        rows = store.db.read("SELECT id FROM candidates WHERE epoch >= ?", oldest)
        wanted = {i for (i,) in rows if self.made[i].parent in tasks}
        assert wanted == waiting | wanted & tasks
        assert self.loop.curriculum.pool.generated <= self.config.pool.p_max

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.store.close()
            self.worker.store.close()
            self.folder.cleanup()


Crashes.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestCrashes = Crashes.TestCase
