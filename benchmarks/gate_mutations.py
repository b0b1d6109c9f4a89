"""Whether the critic refuses what is faulty and lets pass what is sound.

Eighteen kinds of faulty tasks are made of sound synthetic ones (mutations.py,
meaning_mutations.py). Then come sound tasks: other synthetic ones, the benchmark's own seeds, and
synthetic ones changed harmlessly. Last come faults that no gate is made for (limits.py).

    python benchmarks/gate_mutations.py --out benchmarks/results/gate_mutations.json
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from edits import Materials
from harmless import CHANGES
from limits import LIMITS
from meaning_mutations import MEANING_MUTATIONS, in_everyday_form
from mutations import MUTATIONS, Mutant, Mutation
from rods.envs.bfcl_data import benchmark_tasks
from rods.synthesis.critique import Critic, Siblings, verify_tasks
from rods.synthesis.settings import SynthSettings
from rods.task import Task

TRIES = 60  # at a mutant, over all tasks, for each one wanted
EXAMPLES = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=200, help="faulty tasks of each kind")
    parser.add_argument("--sound", type=int, default=2400, help="sound tasks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    # The gates were mended on what --seed 0 got through; only other seeds are unseen.
    tasks = list(synthetic(max(400, 4 * args.each), 100_000 + args.seed, args.workers))
    m = Materials(SynthSettings().inputs(), tasks)

    def refused(kinds: dict[str, Mutation]) -> dict[str, Any]:
        return {
            name: measure(m, mutants(kind, m, args.each, random.Random(f"{args.seed} {name}")))
            for name, kind in kinds.items()
        }

    faulty, limits = refused(MUTATIONS | MEANING_MUTATIONS), refused(LIMITS)
    print_table("faulty", faulty)
    sound = sound_tasks(m, args.sound, args.seed, args.workers)
    print_table("sound", sound)
    print_table("beyond the gates", limits)
    if args.out:
        found = {"seed": args.seed, "faulty": faulty, "sound": sound, "beyond the gates": limits}
        text = json.dumps(found, indent=1)
        args.out.write_text(text + "\n", encoding="utf-8")
    return 0


def synthetic(count: int, seed: int, workers: int) -> Iterator[Task]:
    """Tasks as `rods synth` makes them."""
    siblings, made = Siblings(), 0
    for batch in SynthSettings(seed=seed).batches(workers)(0):
        for task in (variant for result in batch for variant in result.variants):
            if not siblings.fault(task):
                siblings.add(task)
                yield task
                made += 1
                if made == count:
                    return


def mutants(mutation: Mutation, m: Materials, wanted: int, rng: random.Random) -> Iterator[Mutant]:
    """So many different ones, fewer if the tasks do not give them."""
    seen: set[tuple[str, str]] = set()
    for _ in range(TRIES * wanted):
        made = mutation(rng.choice(m.tasks), m, rng)
        if made is not None and (made.task.id, made.what) not in seen:
            seen.add((made.task.id, made.what))
            yield made
            if len(seen) == wanted:
                return


def measure(m: Materials, made: Iterable[Mutant]) -> dict[str, Any]:
    """How many were refused, by which gate, and some that were not."""
    critic = Critic(m.world.env, m.world.held_out, learned=m.world.learned)
    gates, passed = Counter[str](), []
    known = {task.id: task for task in m.world.tasks}
    for mutant in made:
        critic.siblings = Siblings()
        for task in mutant.before:
            critic.admit(task)
        parent = None if mutant.orphan else known.get(mutant.task.parent)
        fault = critic.review(mutant.task, parent)
        gates[fault or "passed"] += 1
        if not fault:
            passed.append({"task": mutant.task.id, "what": mutant.what})
    return _row(gates, passed)


def sound_tasks(m: Materials, count: int, seed: int, workers: int) -> dict[str, Any]:
    """What is refused of tasks that are sound."""
    found: dict[str, Any] = {}
    others = list(synthetic(count, 200_000 + seed, workers))
    # A file round trip, as `rods verify` would read them.
    again = [Task.model_validate_json(task.model_dump_json()) for task in others]
    found["synthetic, new critic"] = _refused(verify_tasks(again, m.world))
    rng = random.Random(seed)
    changes = CHANGES | {"a value in an everyday form": in_everyday_form}
    for name, change in changes.items():
        made = (change(task, m, rng) for task in others)
        some = (Mutant(task, name) for task in made if task is not None)
        found[f"synthetic, {name}"] = measure(m, islice(some, count // len(changes)))
    names = {task.source for task in m.world.seeds}
    seeds = [
        t.model_copy(update={"parent": ""}) for n, t in benchmark_tasks().items() if n in names
    ]
    found["benchmark's training seeds"] = measure(m, [Mutant(t, t.source) for t in seeds])
    return found


def _refused(outcomes: Iterable[tuple[str, str]]) -> dict[str, Any]:
    rows = list(outcomes)
    return _row(Counter(fault or "passed" for _, fault in rows), [])


def _row(gates: Counter[str], passed: list[dict[str, str]]) -> dict[str, Any]:
    number = gates.total()
    by = {gate: n for gate, n in gates.most_common() if gate != "passed"}
    row = {"number": number, "refused": number - gates["passed"], "by gate": by}
    return row | {"got through": passed[:EXAMPLES]}


def print_table(title: str, rows: dict[str, Any]) -> None:
    print(f"{title:<44}{'tasks':>7}{'refused':>9}  by gate")
    for name, row in rows.items():
        share = row["refused"] / max(1, row["number"])
        gates = ", ".join(f"{n} {gate}" for gate, n in list(row["by gate"].items())[:4])
        print(f"{name:<44}{row['number']:>7}{share:>9.1%}  {gates}")


if __name__ == "__main__":
    sys.exit(main())
