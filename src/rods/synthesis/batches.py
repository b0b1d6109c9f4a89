"""Jobs of the offline pipeline, in batches, by processes or by threads.

Jobs are numbered. A job's category follows the seeds' proportions, its parents are drawn by its
number, and its outcome depends on nothing else, so any number of workers gives the same batches.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing.connection import Connection

from rods.errors import UserError
from rods.job_result import JobResult
from rods.processes import safe_path, undisturbed
from rods.synthesis.jobs import do_job
from rods.synthesis.pipeline import Pipeline
from rods.task import Task, by_category

PARENTS = 6  # seeds that a job tries before it gives up
SIZE = 16  # jobs of a batch


@dataclass
class JobRunner:
    """Does jobs. One to a worker.

    Args:
        seeds: the tasks to be varied.
        seed: of all randomness.
        size: jobs of a batch.
        parents: seeds that a job tries before it gives up.
    """

    pipeline: Pipeline
    seeds: Sequence[Task]
    seed: int
    size: int = SIZE
    parents: int = PARENTS

    def __post_init__(self) -> None:
        self._by_category = by_category(self.seeds)
        self._order = _spread({c: len(found) for c, found in self._by_category.items()})

    def batch(self, number: int, stopped: Callable[[], bool] = lambda: False) -> list[JobResult]:
        """The jobs of a batch.

        Args:
            stopped: whether its result is no longer wanted.

        Raises:
            KeyboardInterrupt: it was stopped.
            UserError: something that a person can mend keeps synthesis from working.
        """
        jobs = range(number * self.size, (number + 1) * self.size)
        return [self._job(job, stopped) for job in jobs]

    def _job(self, number: int, stopped: Callable[[], bool]) -> JobResult:
        # Counters of its own, since threads share the stages; its siblings are compared later.
        pipeline = self.pipeline.with_own_counters(learns=False)
        rng = random.Random(f"synth {self.seed} {number}")
        parents = self._parents(number, rng, stopped)
        made = do_job(pipeline, parents, rng, epoch=0, fatal=(UserError,))
        return made._replace(passed=dict(pipeline.passed))

    def _parents(
        self, number: int, rng: random.Random, stopped: Callable[[], bool]
    ) -> Iterator[Task]:
        seeds = self._by_category[self._order[number % len(self._order)]]
        for _ in range(self.parents):
            if stopped():
                raise KeyboardInterrupt
            yield rng.choice(seeds)


def _spread(sizes: dict[str, int]) -> list[str]:
    """One entry a seed, the categories mixed as evenly as their sizes allow."""
    return [c for _, c in sorted(((i + 0.5) / n, c) for c, n in sizes.items() for i in range(n))]


_maker: JobRunner | None = None  # of a worker process


def _begin(make: Callable[[], JobRunner], parent: Connection) -> None:
    global _maker
    sys.stdout = sys.stderr  # standard output holds results alone
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _maker = make()
    # A job leaves no cycles behind, and walking what was learned from the seeds over and over took
    # a quarter of the time.
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


def _end_with(parent: Connection) -> None:
    """End this process, whatever it is doing, when its parent closes the connection or ends."""
    with suppress(EOFError, OSError):
        parent.recv_bytes()
    os._exit(0)


def _batch(number: int) -> list[JobResult]:
    assert _maker is not None
    return _maker.batch(number)


Batches = Callable[[int, Callable[[], int]], Generator[list[JobResult]]]
"""The batches from a number on, in order, given how many tasks are still wanted. When it is closed,
what is under way ends within a second or so."""


def in_processes(make: Callable[[], JobRunner], workers: int, size: int = SIZE) -> Batches:
    """Batches by worker processes, a few of them ahead of what was taken.

    Args:
        make: is called once in each worker; must be picklable.
        size: jobs of a batch.
    """

    def batches(first: int, left: Callable[[], int] = _many) -> Generator[list[JobResult]]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        with safe_path():  # it starts a process of Python's own
            pool = ProcessPoolExecutor(workers, context, _begin, (make, theirs))
        with pool, ours, theirs:
            try:
                yield from _ordered(pool, _batch, first, _ahead(3 * workers, left, size))
            except BrokenProcessPool:
                message = "a worker process was killed, perhaps for its memory; use fewer --workers"
                raise UserError(f"rods synth: {message}") from None

    return batches


def in_threads(maker: JobRunner, workers: int, stop: Callable[[], None] = lambda: None) -> Batches:
    """Batches by threads: for backends that wait for a model most of the time.

    Args:
        stop: has what the jobs wait for end.
    """

    def batches(first: int, left: Callable[[], int] = _many) -> Generator[list[JobResult]]:
        stopped = threading.Event()
        work = partial(maker.batch, stopped=stopped.is_set)
        with ThreadPoolExecutor(workers) as pool:
            try:
                yield from _ordered(pool, work, first, _ahead(2 * workers, left, maker.size))
            finally:
                stopped.set()
                stop()

    return batches


def _many() -> int:
    return 10**9


def _ahead(most: int, left: Callable[[], int], size: int) -> Callable[[], int]:
    """How many batches may be under way: no more jobs than twice the tasks that are wanted."""
    return lambda: max(1, min(most, -(-2 * left() // size)))


def _ordered(
    pool: Executor, work: Callable[[int], list[JobResult]], first: int, ahead: Callable[[], int]
) -> Iterator[list[JobResult]]:
    """Results in the order of their numbers; at most `ahead` are under way or waiting."""
    waiting: deque[Future[list[JobResult]]] = deque()
    try:
        for number in count(first):
            with undisturbed(), safe_path():
                waiting.append(pool.submit(work, number))
            while len(waiting) >= ahead():
                yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
