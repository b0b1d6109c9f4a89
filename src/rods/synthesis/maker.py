"""Jobs of the offline pipeline, in batches, by processes or by threads.

Jobs are numbered. A job's category follows the seeds' proportions, its parents are drawn by its
number, and its outcome depends on nothing else, so any number of workers gives the same batches.
"""

from __future__ import annotations

import gc
import multiprocessing
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from rods.synthesis.pipeline import Pipeline
from rods.task import Category, Task

PARENTS = 6  # seeds that a job tries before it gives up


@dataclass
class Batch:
    """What a worker made of some jobs.

    Attributes:
        tasks: None for a job that failed.
        funnel, passed, given_up: see `Pipeline`.
    """

    tasks: list[Task | None]
    funnel: Counter[str]
    passed: Counter[str]
    given_up: list[dict[str, Any]]


@dataclass
class Maker:
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
    size: int = 16
    parents: int = PARENTS

    def __post_init__(self) -> None:
        self._by_category = {
            c: [t for t in self.seeds if t.category is c]
            for c in Category
            if any(t.category is c for t in self.seeds)
        }
        self._order = _spread({c: len(found) for c, found in self._by_category.items()})

    def batch(self, number: int) -> Batch:
        """The jobs of a batch."""
        # Counters of its own, since threads share the stages.
        pipeline = replace(self.pipeline, funnel=Counter(), passed=Counter(), given_up=deque())
        jobs = range(number * self.size, (number + 1) * self.size)
        tasks = [self._job(pipeline, job) for job in jobs]
        return Batch(tasks, pipeline.funnel, pipeline.passed, list(pipeline.given_up))

    def _job(self, pipeline: Pipeline, number: int) -> Task | None:
        rng = random.Random(f"synth {self.seed} {number}")
        parents = self._by_category[self._order[number % len(self._order)]]
        for _ in range(self.parents):
            task = pipeline.make(rng.choice(parents), rng, 0)
            if task is not None:
                return task
        return None


def _spread(sizes: dict[Category, int]) -> list[Category]:
    """One entry a seed, the categories mixed as evenly as their sizes allow."""
    return [c for _, c in sorted(((i + 0.5) / n, c) for c, n in sizes.items() for i in range(n))]


_maker: Maker | None = None  # of a worker process


def _begin(make: Callable[[], Maker]) -> None:
    global _maker
    _maker = make()
    # A job leaves no cycles behind, and walking what was learned from the seeds over and over took
    # a quarter of the time.
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


def _batch(number: int) -> Batch:
    assert _maker is not None
    return _maker.batch(number)


def in_processes(make: Callable[[], Maker], workers: int) -> Callable[[int], Iterator[Batch]]:
    """Batches by worker processes, a few of them ahead of what was taken.

    Args:
        make: is called once in each worker; must be picklable.
    """

    def batches(first: int) -> Iterator[Batch]:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _begin, (make,)) as pool:
            yield from _ordered(pool, _batch, first, 3 * workers)

    return batches


def in_threads(maker: Maker, workers: int) -> Callable[[int], Iterator[Batch]]:
    """Batches by threads: for backends that wait for a model most of the time."""

    def batches(first: int) -> Iterator[Batch]:
        with ThreadPoolExecutor(workers) as pool:
            yield from _ordered(pool, maker.batch, first, 2 * workers)

    return batches


def _ordered(
    pool: Executor, work: Callable[[int], Batch], first: int, ahead: int
) -> Iterator[Batch]:
    """Results in the order of their numbers; at most `ahead` are under way or waiting."""
    waiting: deque[Future[Batch]] = deque()
    try:
        for number in count(first):
            waiting.append(pool.submit(work, number))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
