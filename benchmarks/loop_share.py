"""What the loop costs beside a training step of the micro policy, in one run.

First some real steps of the `micro` preset (16 tasks x K = 8, the loop and its store included),
then, in the same process and on the same disk, the loop alone at the paper's size: 800 tasks of the
benchmark in the pool, `add_groups` with its selection for 32 groups of K = 16, and `end_epoch` with
as many candidates waiting as beta lets in. Synthesis is not part of it: a worker does that.

    python benchmarks/loop_share.py --steps 10 --out FILE
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from rods.cli.display import Display
from rods.config import Config
from rods.curriculum.pool import Event
from rods.curriculum.selector import Parent
from rods.envs.bfcl_data import benchmark_tasks
from rods.group import GroupRewards
from rods.job_result import JobResult
from rods.loop import Loop
from rods.presets import load_config
from rods.processes import Stopper
from rods.run import train
from rods.store.schema import Job
from rods.store.store import Store
from rods.task import Turn
from rods.terminal import Screen

K, PER_STEP, EPOCHS = 16, 32, 8


def paper_size() -> Config:
    """400 originals and up to 400 generated tasks."""
    return Config.model_validate(
        {
            "rollout": {"group_size": K, "tasks_per_step": PER_STEP},
            "boundary": {"rule": "mean"},
            "pool": {"seeds": 400, "p_max": 400},
            "synthesis": {"mode": "background"},
        }
    )


def loop_alone(folder: Path) -> dict[str, Any]:
    """Seconds of `add_groups` and `end_epoch` at 800 active tasks."""
    tasks = list(benchmark_tasks().values())
    store, first = Store(folder), tasks[0].id
    with store.transaction():
        store.add_tasks(tasks, 0)
        store.add_events(Event(0, 0, t.id, "seeded") for t in tasks[:400])
        store.add_events(Event(0, 0, t.id, "injected", first) for t in tasks[400:])
        store.add_events(Event(0, 0, t.id, "passed") for t in tasks[400:])
    loop, rng = Loop(paper_size(), store, ()), random.Random(0)
    observing, ending, changes, active = [], [], [], []
    for epoch in range(EPOCHS):
        active.append(len(loop.curriculum.pool.live))
        batch = loop.next_tasks()
        while not loop.epoch_done():
            groups = [GroupRewards(task.id, rewards(rng)) for task in batch]
            began = time.perf_counter()
            loop.add_groups(groups)
            observing.append(time.perf_counter() - began)
            batch = [] if loop.epoch_done() else loop.next_tasks()
        wait(loop, epoch, loop.curriculum.wanted())
        began = time.perf_counter()
        changes.append(len(loop.end_epoch()))
        ending.append(time.perf_counter() - began)
    store.close()
    return {
        "observe_ms": round(1e3 * median(observing), 3),
        "observe_worst_ms": round(1e3 * max(observing), 3),
        "end_epoch_ms": round(1e3 * median(ending), 3),
        "end_epoch_worst_ms": round(1e3 * max(ending), 3),
        "steps": len(observing),
        "events_an_epoch": changes,
        "active": active,
    }


def rewards(rng: random.Random) -> tuple[float, ...]:
    """Of tasks from hopeless to mastered."""
    share = rng.random()
    return tuple(float(rng.random() < share) for _ in range(K))


def wait(loop: Loop, epoch: int, count: int) -> None:
    """Candidates as a worker leaves them: benchmark tasks with other words."""
    parents = [loop.task(task_id) for task_id in list(loop.curriculum.pool.live)[:count]]
    made = [
        p.model_copy(
            update={
                "turns": (*p.turns, Turn(user=f"variant {epoch}")),
                "origin": "program",
                "parent": p.id,
            }
        )
        for p in parents
    ]
    job = Job(-1 - epoch, epoch, parents[0].id, 0.5)
    with loop.store.transaction():
        loop.queue.add_jobs(job.step, epoch, [Parent(job.task_id, "base", 0.5)])
    loop.queue.finish(job, JobResult("made", made, {}, [], 0.0), loop.step)


def micro_steps(folder: Path, steps: int) -> list[float]:
    """Seconds of each training step of the micro preset."""
    settings = (f"steps={steps}", f"checkpoint_steps={steps}", "evaluation.validation_every=0")
    config = load_config("micro", [*settings, "evaluation.test_samples=1"])
    with Stopper() as stopper, Display(config, folder, Screen(stderr=True)) as display:
        train(config, folder, display, stopper)
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["seconds"] for line in lines][1:]  # the first one warms up


def main() -> None:
    """Both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10, help="the first one is not counted")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.steps < 2:
        parser.error("--steps: at least 2, as the first one is not counted")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        seconds = micro_steps(Path(folder) / "micro", options.steps)
        alone = loop_alone(Path(folder) / "alone")
    step = median(seconds)
    found = {
        "micro_step_s": round(step, 3),
        "micro_steps": len(seconds),
        **alone,
        "observe_share": round(alone["observe_ms"] / 1e3 / step, 6),
        "end_epoch_share": round(alone["end_epoch_ms"] / 1e3 / step, 6),
    }
    print(json.dumps(found, indent=1))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
