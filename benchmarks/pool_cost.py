"""What the pool costs at 10^4, 10^5 and 10^6 tasks, with the store on disk.

Half of the tasks are originals, half are generated and past their burn-in. Two whole epochs of
K = 16 are trained with random rewards, in which a share of the groups is constant (--changing), so
that these tasks rest or retire; as many candidates wait at each end. The second end is the one that
is told: the tasks that were injected at the first pass their burn-in there. Each size has a process
of its own, so that its peak memory is its own. Bodies of tasks are small here; they stand in the
store and are read when a task is drawn, so their size is not the pool's. Machines differ, and so do
the minutes of a shared one: `additions_s` is what ten million additions take before and after.

    python benchmarks/pool_cost.py --sizes 10000 100000 1000000 --out FILE
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from pathlib import Path
from statistics import median
from typing import Any

from rods.config import Config
from rods.curriculum.pool import Event
from rods.curriculum.selector import Parent
from rods.envs.bfcl_data import CATEGORIES
from rods.group import GroupRewards
from rods.job_result import JobResult
from rods.loop import Loop
from rods.store.schema import Job
from rods.store.store import Store
from rods.task import Task, Turn

K, PER_STEP = 16, 32
KINDS = CATEGORIES


def task(number: int, parent: str = "") -> Task:
    """A task of a few hundred bytes."""
    return Task(
        category=KINDS[number % 4],
        classes=("Simulated",),
        start={"number": number},
        turns=(Turn(user=f"{number}"),),
        environment="simulated",
        origin="program" if parent else "user",
        parent=parent,
    )


def config(size: int, rule: str) -> Config:
    """Half originals, half generated; originals rest."""
    return Config.model_validate(
        {
            "rollout": {"group_size": K, "tasks_per_step": PER_STEP},
            "boundary": {"rule": rule},
            "pool": {"seeds": size // 2, "p_max": size // 2, "rest_epochs": 1},
            "synthesis": {"mode": "background"},
        }
    )


def fill(store: Store, size: int) -> None:
    """A history in which half of the tasks were seeded, and half injected and passed."""
    first = task(0).id
    for start in range(0, size, 10_000):
        numbers = range(start, min(size, start + 10_000))
        made = [task(i, first if i >= size // 2 else "") for i in numbers]
        events = [
            Event(0, 0, t.id, *(("injected", first) if t.parent else ("seeded",))) for t in made
        ]
        with store.transaction():
            store.add_tasks(made, 0)
            store.add_events(events)
            store.add_events(Event(0, 0, t.id, "passed") for t in made if t.parent)


def candidates(loop: Loop, count: int, first: int) -> None:
    """Candidates of the present epoch, as a worker leaves them, the tasks numbered from `first`."""
    parent, epoch = next(iter(loop.curriculum.pool.entries)), loop.store.epochs.last_index()
    for number in range(first, first + count, 1_000):
        job = Job(-number, epoch, parent, 0.5)
        with loop.store.transaction():
            loop.queue.add_jobs(job.step, job.epoch, [Parent(parent, "base", 0.5)])
        made = [task(i, parent) for i in range(number, min(first + count, number + 1_000))]
        loop.queue.finish(job, JobResult("made", made, {}, [], 0.0), 0)


def additions() -> float:
    """Seconds of ten million additions: how fast this machine is at this moment."""
    began, total = time.perf_counter(), 0
    for number in range(10_000_000):
        total += number
    return time.perf_counter() - began


@dataclass
class Measurement:
    """One size, in this process."""

    size: int
    rule: str
    changing: float
    took: dict[str, float] = field(default_factory=dict)
    choosing: list[float] = field(default_factory=list)
    observing: list[float] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        """All figures: seconds and milliseconds of wall time, megabytes of peak memory."""
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            store = Store(Path(folder))
            fill(store, self.size)
            loop = self.timed("resume_s", lambda: Loop(config(self.size, self.rule), store, ()))
            gc.collect()
            gc.freeze()  # or every full collection walks all entries, half a second at 10^6
            self.watch(loop)
            changing = Fraction(str(self.changing))
            wanted, ids = floor(changing * self.size), loop.next_ids()
            for end in range(2):
                self.train(loop, ids)
                candidates(loop, wanted, self.size + end * wanted)
                before = additions()
                events = self.timed("end_epoch_s", loop.end_epoch)
                ids = self.timed("order_s", loop.next_ids)
            pace = [round(before, 2), round(additions(), 2)]
            store.close()
        return {
            "tasks": self.size,
            "rule": self.rule,
            "changing": self.changing,
            "steps": len(self.observing),
            "selection_ms": round(1e3 * median(self.choosing), 3),
            "selection_worst_ms": round(1e3 * max(self.choosing), 3),
            "observe_ms": round(1e3 * median(self.observing), 3),
            "observe_worst_ms": round(1e3 * max(self.observing), 3),
            **{name: round(seconds, 4) for name, seconds in self.took.items()},
            "boundary_s": round(self.took["end_epoch_s"] + self.took["order_s"], 3),
            "additions_s": pace,
            "events": len(events),
            "active": len(loop.curriculum.pool.live),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = work()
        self.took[name] = time.perf_counter() - began
        return found

    def watch(self, loop: Loop) -> None:
        """Time the parts of the loop where it calls them."""
        parts: Any = loop.curriculum
        choose, retire, admit = parts.selector.select, parts.retirement.end, parts.admission.admit

        def chosen(*arguments: Any) -> Any:
            began = time.perf_counter()
            found = choose(*arguments)
            self.choosing.append(time.perf_counter() - began)
            return found

        parts.selector.select = chosen
        parts.retirement.end = lambda *a: self.timed("retirement_s", lambda: retire(*a))
        parts.admission.admit = lambda *a: self.timed("injection_s", lambda: admit(*a))

    def train(self, loop: Loop, ids: Sequence[str]) -> None:
        """A whole epoch of random rewards, whose first step has these tasks."""
        rng = random.Random(loop.step)
        while True:
            groups = [GroupRewards(task_id, self.rewards(rng)) for task_id in ids]
            began = time.perf_counter()
            loop.add_groups(groups)
            self.observing.append(time.perf_counter() - began)
            if loop.epoch_done():
                return
            ids = loop.next_ids()

    def rewards(self, rng: random.Random) -> tuple[float, ...]:
        """A group's; constant with probability `changing`."""
        if rng.random() < self.changing:
            return (1.0,) * K
        share = rng.uniform(0.3, 0.7)
        return (0.0, 1.0, *(float(rng.random() < share) for _ in range(K - 2)))


def main() -> None:
    """Measure each size in a process of its own, and print a row each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rule", default="mean")
    parser.add_argument("--changing", type=float, default=0.02, help="share of the pool an epoch")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        found = Measurement(options.sizes[0], options.rule, options.changing).run()
        print(json.dumps(found))
        return
    rows = []
    for size in options.sizes:
        command = [sys.executable, __file__, "--here", "--sizes", str(size)]
        command += ["--rule", options.rule, "--changing", str(options.changing)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout))
        print(json.dumps(rows[-1]), flush=True)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
