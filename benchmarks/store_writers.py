"""What one SQLite file takes in: rows per second of the driver's store against what steps produce.

A step is what the driver of a large run does with one: it reads the results of all rollouts as they
come from verl, gives the loop their groups, and stores the groups, jobs, metrics and an example
episode of each group. Tasks are small, and rewards random; an episode's conversation has
--characters. Each step's rows are on the disk when it ends. Then a job's end (one candidate) is
stored as often as possible by 1, 2, 4 and 8 processes at one file, and a step is stored while a
worker does so. The disk decides much: `fsync_ms` is what one small synchronised write takes.

    python benchmarks/store_writers.py --out benchmarks/results/store_writers.json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

from rods.config import Config
from rods.curriculum.selector import Parent
from rods.job_result import JobResult
from rods.lead import Lead
from rods.loop import Loop
from rods.metrics import Losses, MetricsFile
from rods.presets import load_config
from rods.rollout.episode import Ending
from rods.rollout.rollout import Rollout, group_of
from rods.store.database import Database
from rods.store.queue import Queue
from rods.store.schema import TRAINER, WORKER, Job
from rods.store.store import Store
from rods.task import Task, Turn
from rods.trainers.verl.row import Result, Told
from rods.trainers.verl.watch import Lines

K = 16
SECONDS, LONG = 3.0, 60.0  # for which each number of writers writes, and a worker beside steps
LINES = 40  # of a conversation
SAME = ("category", "classes", "turns", "environment")  # fields of all tasks of a kind
KINDS = ("base", "miss_func", "miss_param", "long_context")


class Silent(Lines):
    """Shows nothing."""

    def step(self, line: dict[str, Any]) -> None:
        """Shows nothing."""


def tasks_of(count: int) -> list[Task]:
    """Tasks of a few hundred bytes."""
    return [
        Task(
            category=KINDS[number % 4],
            classes=("Simulated",),
            start={"number": number},
            turns=(Turn(user=f"{number}"), Turn(user="and then")),
            environment="simulated",
        )
        for number in range(count)
    ]


def config_of(groups: int) -> Config:
    """Steps of so many groups, from a pool of four steps."""
    base = load_config("tiny").model_dump()
    base["stages"] = [{"reward": "progress"}]
    base["rollout"] |= {"group_size": K, "tasks_per_step": groups}
    base["optimizer"] |= {"microbatch": K * groups}
    base["synthesis"] |= {"mode": "background"}
    base["pool"] |= {"seeds": 4 * groups, "p_max": groups}
    base["boundary"] |= {"quota": groups}
    return Config.model_validate(base)


def results_of(tasks: list[Task], characters: int, rng: random.Random) -> list[dict[str, Any]]:
    """The results of a step as they come back from verl: plain data."""
    line = ("tool", "x" * (characters // LINES))
    found = []
    for place, task in enumerate(tasks):
        skill = rng.random()
        for session in range(K):
            turns = [rng.random() < skill for _ in range(2)]
            told = Told((), told=[line] * LINES)
            rollout = Rollout(
                task.id, [], [], [1] * 300, [], sum(turns) / 2, all(turns), 0.0, turns,
                Ending.ANSWERED, told, {}, "", (1,),
            )  # fmt: skip
            found.append(Result(place, session, rollout).plain())
    return found


def rows(store: Store) -> int:
    """All rows of the store."""
    tables = {*TRAINER, *WORKER, "tasks"}
    return sum(store.db.read(f"SELECT COUNT(*) FROM {name}")[0][0] for name in tables)


def size(folder: Path) -> int:
    """Bytes of the store, its log included."""
    return sum(path.stat().st_size for path in folder.glob("run.sqlite*"))


class Training:
    """A run whose steps are only stored."""

    def __init__(self, folder: Path, groups: int, characters: int) -> None:
        config, self.characters = config_of(groups), characters
        self.store, self.folder, self.rng = Store(folder), folder, random.Random(0)
        self.lead = Lead(config, folder, self.store, Silent())
        self.loop = Loop(config, self.store, tasks_of(4 * groups))
        self.lead.loop, self.lead.metrics = self.loop, MetricsFile(folder, self.store)
        self.lead.losses = Losses(folder, str, print)
        self.lead.heldout = SimpleNamespace(latest={})  # type: ignore[assignment]

    def candidates(self) -> int:
        """How many the worker has stored."""
        return int(self.store.db.read("SELECT COUNT(*) FROM candidates")[0][0])

    def step(self) -> dict[str, float]:
        """Seconds of one step by what was done in them."""
        came = results_of(self.loop.next_tasks(), self.characters, self.rng)
        clock = [time.perf_counter()]
        rollouts = [r.rollout for r in map(Result.read, came) if r.rollout]
        clock.append(time.perf_counter())
        starts = range(0, len(rollouts), K)
        self.loop.add_groups([group_of(rollouts[i : i + K], "progress") for i in starts])
        clock.append(time.perf_counter())
        self.lead.on_step(self.loop.step, rollouts, {"loss": 0.0}, 1.0)
        clock.append(time.perf_counter())
        names = ("read_s", "groups_s", "report_s")
        return dict(zip(names, (b - a for a, b in pairwise(clock)), strict=True))


def steps(groups: int, characters: int, count: int, *, worker: bool = False) -> dict[str, Any]:
    """What steps of that size cost.

    Args:
        worker: a worker writes candidates to the same file as often as it can.
    """
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        training = Training(folder, groups, characters)
        training.step()  # it also stores the pool
        before, began = rows(training.store), size(folder)
        with writing(folder, 1 if worker else 0, LONG):
            while worker and not training.candidates():
                time.sleep(0.1)
            found = [training.step() for _ in range(count)]
        made = (rows(training.store) - before) / count
        grown = (size(folder) - began) / count
        training.store.close()
    stored = [step["groups_s"] + step["report_s"] for step in found]
    shares = {key: round(median(step[key] for step in found), 4) for key in found[0]}
    return {
        "trajectories": K * groups,
        "groups": groups,
        "characters": characters,
        "worker": worker,
        **shares,
        "stored_s": round(median(stored), 4),
        "stored_worst_s": round(max(stored), 4),
        **({} if worker else {"rows": round(made), "mb": round(grown / 1e6, 2)}),
        **({} if worker else {"rows_per_s": round(made / median(stored))}),
    }


def finish_jobs(folder: Path, number: int, seconds: float) -> int:
    """Store the ends of jobs for some seconds; how many."""
    store = Store(folder, role="reader")  # without a lease: several may write here
    store.db.close()
    store.db = Database(folder, "worker")
    store.queue = queue = Queue(store)
    done, end = 0, time.monotonic() + seconds
    parent = tasks_of(1)[0]
    while time.monotonic() < end:
        done += 1
        start = {"number": f"{number} {done}"}
        made = Task(start=start, parent=parent.id, **{n: getattr(parent, n) for n in SAME})
        job = Job(-done, -1 - number, f"{number}", 0.5)
        queue.add_jobs(job.step, job.epoch, [Parent(job.task_id, "base", 0.5)])
        queue.take(job)
        queue.finish(job, JobResult("made", [made], {"tried": 1, "admitted": 1}, [], 0.1), 0)
    return done


@contextmanager
def writing(folder: Path, writers: int, seconds: float) -> Iterator[list[subprocess.Popen[str]]]:
    """With processes that store the ends of jobs, for so long at most."""
    command = [sys.executable, __file__, "--writer", str(folder), str(seconds)]
    started = [
        subprocess.Popen([*command, str(i)], stdout=subprocess.PIPE, text=True)
        for i in range(writers)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def writers_at_once(writers: int) -> dict[str, Any]:
    """Jobs per second that so many processes store in one file."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        Store(Path(name)).close()
        with writing(Path(name), writers, SECONDS) as processes:
            done = [int(process.communicate()[0]) for process in processes]
    return {
        "writers": writers,
        "jobs_per_s": round(sum(done) / SECONDS, 1),
        "fewest_of_one": min(done),
        "most_of_one": max(done),
    }


def fsync_ms() -> float:
    """Median milliseconds of a small write that is on the disk."""
    found = []
    with tempfile.TemporaryFile(dir=Path.cwd()) as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            found.append(1e3 * (time.perf_counter() - began))
    return round(median(found), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, nargs="+", default=[32, 256, 1024])
    parser.add_argument("--characters", type=int, nargs="+", default=[20_000])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--writer", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.writer:
        folder, seconds, number = options.writer
        print(finish_jobs(Path(folder), int(number), float(seconds)))
        return
    found = {
        "fsync_ms": fsync_ms(),
        "steps": [
            steps(groups, characters, options.steps)
            for characters in options.characters
            for groups in options.groups
        ],
        "with_worker": steps(256, options.characters[0], options.steps, worker=True),
        "writers": [writers_at_once(writers) for writers in (1, 2, 4, 8)],
    }
    print(json.dumps(found, indent=1))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
