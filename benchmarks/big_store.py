"""Makes the store of a large run with the store's own functions, as a trainer and a worker would.

    python benchmarks/big_store.py --tasks 1000000 --episodes 100000 --out runs/big

One task in a hundred is a seed task; the others are variants, each of an earlier task. Each task
has a group, each variant was a candidate that joined, and most variants have retired. The texts are
as long as the benchmark's, and some are hostile. A million tasks take 10 minutes and 2.5 GB.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from rods.curriculum.pool import Event
from rods.envs.bfcl_data import CATEGORIES
from rods.group import Group
from rods.store.schema import TaskMeasurement
from rods.store.store import Store
from rods.task import Call, Task, Turn

CHUNK = 5_000  # tasks in one transaction
SEEDS = 100  # one task in so many is a seed task
PER_STEP = 16
EPOCH_STEPS = 250
HELD_OUT = 100  # tasks, measured at each of `MEASURED` steps
MEASURED = 50
ENDINGS = ("answered", "answered", "answered", "attempts spent", "token budget", "format failures")
REASONS = ("mastered", "too hard", "no signal", "stale", "pruned")
WORDS = ("please", "then", "send", "order", "message", "folder", "London", "Emma", "list", "the")
TOOLS = tuple(
    f"{verb}_{thing}"
    for verb in ("get", "list", "place", "cancel", "send", "delete", "find", "set")
    for thing in ("order", "flight", "message", "stock", "account", "file", "ticket", "alarm")
)
HOSTILE = "<script>alert('x')</script> \x1b[31m \u202e"


def task_of(number: int, rng: random.Random, parent: str) -> Task:
    """A task with three turns of two calls."""
    turns = tuple(
        Turn(
            user=f"{' '.join(rng.choices(WORDS, k=25))} {number} {HOSTILE * (number % 97 == 0)}",
            ground_truth=tuple(
                Call(name=rng.choice(TOOLS), arguments={"id": rng.randrange(10**6), "note": "ok"})
                for _ in range(2)
            ),
        )
        for _ in range(3)
    )
    return Task(
        category=CATEGORIES[number % len(CATEGORIES)],
        classes=("Shop",),
        start={"Shop": {"n": number}},
        turns=turns,
        origin="program" if parent else "benchmark",
        parent=parent,
        born=number // (PER_STEP * EPOCH_STEPS),
    )


def transcript_of(task: Task, rng: random.Random) -> list[list[str]]:
    """What an agent says, with a verdict on each turn."""
    lines = [["tools", " ".join(TOOLS[:40])]]
    for turn in task.turns:
        lines.append(["user", turn.user])
        for call in turn.ground_truth:
            lines += [["assistant", str(call)], ["tool", '{"result": "done", "list": [1, 2, 3]}']]
        lines.append(["verdict", rng.choice(("passed", "failed: no tool was called"))])
    return lines


def fill(store: Store, tasks: int, episodes: int, seed: int) -> None:
    """Add so many tasks and episodes."""
    rng, ids = random.Random(seed), list[str]()
    seeds, every = max(1, tasks // SEEDS), max(1, tasks // max(1, episodes))
    steps = max(1, tasks // PER_STEP)
    config = {"arm": "rods", "preset": "big", "seed": seed, "steps": steps}
    store.set_meta("config", config)
    for start in range(0, tasks, CHUNK):
        numbers = range(start, min(tasks, start + CHUNK))
        made = []
        for number in numbers:
            parent = "" if number < seeds else ids[rng.randrange(len(ids))]
            made.append(task_of(number, rng, parent))
            ids.append(made[-1].id)
        with store.transaction():
            _add(store, dict(zip(numbers, made, strict=True)), seeds, every, rng)
        print(f"{start + len(numbers):,} tasks", flush=True)
    with store.transaction():
        for at in range(MEASURED):
            step = at * steps // MEASURED
            store.measures.add_heldout(
                TaskMeasurement(
                    step, "validation", f"h{i}", CATEGORIES[i % 4], rng.random(), 0.0, 8
                )
                for i in range(HELD_OUT)
            )


def _add(store: Store, made: dict[int, Task], seeds: int, every: int, rng: random.Random) -> None:
    step_of = {number: 1 + number // PER_STEP for number in made}
    epoch_of = {number: step // EPOCH_STEPS for number, step in step_of.items()}
    store.add_tasks(made.values(), step_of[min(made)])
    variants = [number for number in made if number >= seeds]
    rows = [(step_of[n], epoch_of[n], made[n].id, rng.random()) for n in variants]
    store.db.insert("INSERT INTO candidates (step, epoch, id, priority)", rows)
    done = [(*row, 1, "made", 0.2, row[0], 900, 300, 0.001) for row in rows]
    columns = "step, epoch, task_id, priority, taken, outcome, seconds, done"
    store.db.insert(
        f"INSERT OR IGNORE INTO jobs ({columns}, tokens_in, tokens_out, cost)",
        [(s, e, made[n].parent, *rest) for n, (s, e, _, *rest) in zip(variants, done, strict=True)],
    )
    events, groups = list[Event](), list[Group]()
    for number, task in made.items():
        step, epoch = step_of[number], epoch_of[number]
        kind = "seeded" if number < seeds else "injected"
        events.append(Event(step, epoch, task.id, kind, task.parent))
        rewards = tuple(rng.choice((0.0, 1 / 3, 2 / 3, 1.0)) for _ in range(8))
        groups.append(Group(task.id, task.category, rewards, epoch, step, 8))
        if number >= seeds and rng.random() < 0.9:
            events.append(Event(step, epoch + 1, task.id, "retired", rng.choice(REASONS)))
    store.add_events(events)
    store.add_groups(groups)
    for step in sorted({*step_of.values()}):
        line = {"step": step, "epoch": step // EPOCH_STEPS, "signal": rng.random()}
        parts = {"rollouts": 6 * rng.random(), "pool": 0.1}
        pool = {"active": step % 1000, "seeds": seeds}
        store.measures.add_metrics(
            step, {**line, "pool": pool, "seconds": 9.0, "part_seconds": parts}
        )
    for number, task in made.items():
        if number % every == 0:
            spoken = transcript_of(task, rng)
            store.add_episode(step_of[number], task.id, rng.random(), rng.choice(ENDINGS), spoken)
    outcomes = {"tried": 3 * len(variants), "admitted": len(variants), "profile": len(variants)}
    step, epoch = min(step_of.values()), min(epoch_of.values())
    rows = [(step, epoch, "", name, n) for name, n in outcomes.items()]
    store.db.insert("INSERT INTO funnel", rows)
    if not store.epochs.all() or store.epochs.last_index() < epoch:
        store.epochs.add(epoch, step, [task.id for task in made.values()][:PER_STEP])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--episodes", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    store = Store(given.out, durable=False)
    fill(store, given.tasks, given.episodes, given.seed)
    store.close()


if __name__ == "__main__":
    main()
