"""Jobs of offline synthesis, in batches, by processes or by threads.

Jobs are numbered. Their kinds, such as categories, have the proportions of the parents. A job's
number is the only source of its randomness, so any number of workers gives the same batches.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from operator import attrgetter

from rods.envs.guard import is_apart
from rods.errors import UserError
from rods.job_result import JobResult
from rods.processes import safe_path, undisturbed
from rods.synthesis.jobs import do_job
from rods.synthesis.pipeline import Pipeline
from rods.task import Task

TRIES = 6  # parents that a job tries before it gives up
SIZE = 16  # jobs of a batch
STOPS = 6  # stopped calls after which a job gives up


@dataclass
class JobRunner:
    """Does jobs. Each worker has one.

    Args:
        parents: the tasks to be varied.
        size: jobs of a batch.
        tries: parents that a job tries before it gives up.
        kind: of a parent; the jobs have the kinds in the proportions of the parents.
    """

    pipeline: Pipeline
    parents: Sequence[Task]
    random_seed: int
    size: int = SIZE
    tries: int = TRIES
    kind: Callable[[Task], str] = attrgetter("category")

    def __post_init__(self) -> None:
        self._by_kind: dict[str, list[Task]] = {}
        for parent in self.parents:
            self._by_kind.setdefault(self.kind(parent), []).append(parent)
        self._lock, self._reported = threading.Lock(), Counter[str]()
        self._order = _spread({kind: len(found) for kind, found in self._by_kind.items()})

    def batch(self, number: int, stopped: Callable[[], bool] = lambda: False) -> list[JobResult]:
        """Do the jobs of a batch.

        Args:
            stopped: whether its result is no longer needed.

        Raises:
            KeyboardInterrupt: it was stopped.
            UserError: synthesis cannot work until a person mends something.
        """
        jobs = range(number * self.size, (number + 1) * self.size)
        return [self._job(job, stopped) for job in jobs]

    def _job(self, number: int, stopped: Callable[[], bool]) -> JobResult:
        # Own counters, since threads share the stages; results are compared with each other later.
        pipeline = self.pipeline.with_own_counters()
        rng = random.Random(f"synth {self.random_seed} {number}")
        parents = self._drawn(number, rng, stopped)
        result = do_job(pipeline, parents, rng, 0, (UserError,), cold=pipeline.cold)
        passed, refused = dict(pipeline.passed), list(pipeline.refused)
        return result._replace(passed=passed, refused=refused, stopped=self._newly_stopped())

    def _stopped(self) -> Counter[str]:
        """All calls that a limit stopped, by tool and limit."""
        env = self.pipeline.critic.env
        return env.stopped() if is_apart(env) else Counter()

    def _newly_stopped(self) -> dict[str, int]:
        """Those that no job has reported; threads share the environment."""
        with self._lock:
            found = self._stopped()
            new, self._reported = found - self._reported, found
        return {str(name): count for name, count in new.items()}

    def _drawn(
        self, number: int, rng: random.Random, stopped: Callable[[], bool]
    ) -> Iterator[Task]:
        parents = self._by_kind[self._order[number % len(self._order)]]
        before = self._stopped().total()
        for _ in range(self.tries):
            if stopped():
                raise KeyboardInterrupt
            if self._stopped().total() - before >= STOPS:
                return  # so that a job with tools that hang has an end
            yield rng.choice(parents)


def _spread(sizes: dict[str, int]) -> list[str]:
    """One entry for each parent, the kinds mixed as evenly as their sizes allow."""
    return [c for _, c in sorted(((i + 0.5) / n, c) for c, n in sizes.items() for i in range(n))]


_runner: JobRunner | None = None  # of a worker process


def _begin(make: Callable[[], JobRunner], parent: Connection) -> None:
    global _runner
    sys.stdout = sys.stderr  # standard output has the results only
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _runner = make()
    # A job leaves no reference cycles, and repeated scans of what was learned from the seed tasks
    # took a quarter of the time.
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


def _end_with(parent: Connection) -> None:
    """End this process at once when its parent closes the connection or ends."""
    with suppress(EOFError, OSError):
        parent.recv_bytes()
    os._exit(0)


def _batch(number: int) -> list[JobResult]:
    assert _runner is not None
    return _runner.batch(number)


Batches = Callable[[int, Callable[[], int]], Generator[list[JobResult]]]
"""The batches from a number on, in order, given how many tasks are still missing. After it is
closed, the batches under way end within about a second."""


def in_processes(make: Callable[[], JobRunner], workers: int) -> Batches:
    """Batches by worker processes, which are a few batches ahead of the reader.

    Args:
        make: called once in each worker; must be picklable.
    """

    def batches(first: int, left: Callable[[], int] = _many) -> Generator[list[JobResult]]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        with safe_path():  # Python starts another helper process here
            pool = ProcessPoolExecutor(workers, context, _begin, (make, theirs))
        with pool, ours, theirs:
            try:
                yield from _ordered(pool, _batch, first, _ahead(3 * workers, left, SIZE))
            except BrokenProcessPool:
                message = "a worker process was killed, perhaps for its memory; use fewer --workers"
                raise UserError(f"rods synth: {message}") from None

    return batches


def in_threads(runner: JobRunner, workers: int, stop: Callable[[], None] = lambda: None) -> Batches:
    """Batches by threads: for jobs that wait for a model most of the time.

    Args:
        stop: called at the end; it must end the requests that jobs wait for.
    """

    def batches(first: int, left: Callable[[], int] = _many) -> Generator[list[JobResult]]:
        stopped = threading.Event()
        work = partial(runner.batch, stopped=stopped.is_set)
        with ThreadPoolExecutor(workers) as pool:
            try:
                yield from _ordered(pool, work, first, _ahead(2 * workers, left, runner.size))
            finally:
                stopped.set()
                stop()

    return batches


def _many() -> int:
    return 10**9


def _ahead(most: int, left: Callable[[], int], size: int) -> Callable[[], int]:
    """How many batches may be under way: at most two jobs for each missing task."""
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
