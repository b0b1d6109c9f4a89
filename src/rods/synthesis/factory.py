"""The offline pipeline: many tasks, in parallel, repeatable, and resumable (`rods synth`).

Jobs are numbered. A job's category follows the seeds' proportions, its parents are drawn by its
number, and its outcome depends on nothing else, so any number of workers gives the same file. What
a task must not resemble among its siblings is decided here, in the order of the jobs. Progress is
kept beside the file until it is whole: lines of tasks, and after each batch one line that says how
far it got.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from rods.errors import UserError
from rods.synthesis.critique import Siblings
from rods.synthesis.pipeline import Pipeline
from rods.task import Category, Task

PARENTS = 6  # seeds that a job tries before it gives up


@dataclass
class Batch:
    """What a worker made of some jobs; `tasks` has None for a job that failed."""

    tasks: list[Task | None]
    funnel: Counter[str]
    passed: Counter[str]


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
        pipeline = replace(self.pipeline, funnel=Counter(), passed=Counter())
        jobs = range(number * self.size, (number + 1) * self.size)
        tasks = [self._job(pipeline, job) for job in jobs]
        return Batch(tasks, pipeline.funnel, pipeline.passed)

    def _job(self, pipeline: Pipeline, number: int) -> Task | None:
        rng = random.Random(f"synth {self.seed} {number}")
        parents = self._by_category[self._order[number % len(self._order)]]
        for _ in range(self.parents):
            task = pipeline.make(rng.choice(parents), rng, 0)
            if task is not None:
                return task
        return None


@dataclass
class Factory:
    """Collects what the workers make into one file.

    Args:
        settings: whatever decides the outcome; a file that was begun with others is refused.
        patience: jobs running without one admitted task, after which nothing more is hoped for.
    """

    out: Path
    settings: dict[str, Any]
    siblings: Siblings = field(default_factory=Siblings)
    funnel: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    made: int = 0
    patience: int = 960

    def run(self, wanted: int, batches: Callable[[int], Iterator[Batch]]) -> Iterator[int]:
        """Make the file, and tell after each batch how many tasks there are.

        Args:
            batches: the batches from a number on, in order.

        Raises:
            UserError: the file cannot be written, was begun with other settings, or the seeds
                give no more tasks.
        """
        part = self.out.with_name(self.out.name + ".part")
        if self.out.is_dir():
            raise UserError(f"{self.out}: cannot be written: is a folder")
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            number = self._take_up(part)
            stream, barren = batches(number), 0
            with part.open("a", encoding="utf-8") as file:
                while self.made < wanted:
                    batch = next(stream)
                    admitted = self._admit(batch, wanted)
                    number += 1
                    state = {"funnel": self.funnel, "passed": self.passed, "batches": number}
                    rows = [*(task.model_dump_json() for task in admitted), json.dumps(state)]
                    file.write("".join(f"{row}\n" for row in rows))
                    file.flush()
                    yield self.made
                    barren = 0 if admitted else barren + len(batch.tasks)
                    if barren >= self.patience:
                        raise UserError(
                            f"{self.out}: only {self.made} of {wanted} tasks could be made of"
                            f" these seeds; most attempts ended in {self._commonest()}; what there"
                            f" is stands in {part.name}"
                        )
            _finish(part, self.out)
        except OSError as error:
            raise UserError(f"{self.out}: cannot be written: {error.strerror}") from None

    def _commonest(self) -> str:
        causes = {k: n for k, n in self.funnel.items() if k not in ("tried", "admitted")}
        return repr(max(causes, key=lambda cause: causes[cause], default="nothing"))

    def _admit(self, batch: Batch, wanted: int) -> list[Task]:
        self.funnel.update(batch.funnel)
        self.passed.update(batch.passed)
        admitted = []
        for task in batch.tasks:
            if task is None or self.made >= wanted:
                continue
            if fault := self.siblings.fault(task):
                self.funnel.update({fault: 1, "admitted": -1})
                continue
            self.siblings.add(task)
            admitted.append(task)
            self.made += 1
        return admitted

    def _take_up(self, part: Path) -> int:
        """Take up an interrupted run after its last whole batch; returns the next one's number."""
        batches, waiting, whole, read = 0, list[Task](), 0, 0
        for line in part.open("rb") if part.exists() else ():
            read += len(line)
            try:
                row = json.loads(line)
            except ValueError:  # torn by the interruption
                break
            if "settings" in row:
                if row["settings"] != self.settings:
                    raise UserError(f"{part}: was begun with other settings; remove it first")
                whole = read
            elif "batches" in row:
                for task in waiting:
                    self.siblings.add(task)
                self.made += len(waiting)
                self.funnel, self.passed = Counter(row["funnel"]), Counter(row["passed"])
                batches, waiting, whole = row["batches"], [], read
            else:
                waiting.append(Task.model_validate(row))
        if not whole:
            part.write_text(json.dumps({"settings": self.settings}) + "\n", encoding="utf-8")
        else:
            os.truncate(part, whole)
        return batches


def _finish(part: Path, out: Path) -> None:
    """The tasks alone, under their own name."""
    whole = out.with_name(out.name + ".whole")
    with part.open(encoding="utf-8") as source, whole.open("w", encoding="utf-8") as target:
        target.writelines(line for line in source if line.startswith('{"category"'))
        target.flush()
        os.fsync(target.fileno())
    whole.replace(out)
    part.unlink()


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
