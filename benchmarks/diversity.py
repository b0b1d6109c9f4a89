"""How varied the users' words and the calls are: seeds against synthetic files, equally many each.

The benchmark varies each of its base tasks into the other three categories with the same words, so
its seeds are to be compared within one category.

python benchmarks/diversity.py --tasks stories=a.jsonl --tasks plain=b.jsonl --out d.json
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rods.envs.bfcl_data import CATEGORIES
from rods.errors import UserError
from rods.files.output import Output
from rods.files.tasks import read_tasks
from rods.synthesis.inputs import benchmark_inputs
from rods.synthesis.near import WORD, jaccard, shingles
from rods.task import Task

PAIRS = 20_000  # drawn for the mean similarity
LENGTHS = (1, 2, 3, 4)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--sample", type=int, help="tasks of each; as many as the smallest has")
    parser.add_argument("--category", choices=CATEGORIES, help="only these tasks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    try:
        sets = {"seeds": list(benchmark_inputs().seeds), **files(args.tasks)}
        if args.category:
            sets = {n: [t for t in s if t.category == args.category] for n, s in sets.items()}
        found = compare(sets, args)
        print_table(found)
        if args.out:
            Output(args.out).write(json.dumps(found, indent=1) + "\n")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"--out {args.out}: cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def files(named: Sequence[str]) -> dict[str, list[Task]]:
    """The tasks of each file by its name.

    Raises:
        UserError: an entry has no name, or its file cannot be read or is empty.
    """
    found = {}
    for entry in named:
        name, equals, path = entry.partition("=")
        if not (name and equals and path) or name == "seeds" or name in found:
            raise UserError(f"--tasks {entry}: give NAME=FILE, each name once and not 'seeds'")
        found[name] = read_tasks(Path(path))
        if not found[name]:
            raise UserError(f"{path}: holds no tasks")
    return found


def compare(sets: dict[str, list[Task]], args: argparse.Namespace) -> dict[str, Any]:
    """The figures of each set on a sample of equal size.

    Raises:
        UserError: more is asked for than some set has, or less than two.
    """
    smallest = min(sets, key=lambda name: len(sets[name]))
    size = len(sets[smallest]) if args.sample is None else args.sample
    if not 2 <= size <= len(sets[smallest]):
        most = len(sets[smallest])
        raise UserError(f"--sample {size}: {smallest} has {most} tasks; choose from 2 to {most}")
    rows = {
        name: figures(random.Random(args.seed).sample(tasks, size), random.Random(args.seed))
        for name, tasks in sets.items()
    }
    chosen = {"sample": size, "seed": args.seed, "category": args.category or "all"}
    return {**chosen, "sets": rows}


def figures(tasks: Sequence[Task], rng: random.Random) -> dict[str, float]:
    """Counts and shares of what differs, and how alike the tasks are.

    Words are compared without case. Similarity is Jaccard's of the words that stand together in
    threes, exactly: of pairs drawn at random, and of each task with the one that is nearest to it.
    """
    said = [[WORD.findall(turn.user.lower()) for turn in task.turns if turn.user] for task in tasks]
    sequences = {tuple(tuple(c.name for c in turn.ground_truth) for turn in t.turns) for t in tasks}
    counts = [len(turn) for turns in said for turn in turns]
    openings = {tuple(turn[:3]) for turns in said for turn in turns}
    found: dict[str, float] = {
        "call sequences": len(sequences),
        "words a turn": round(fmean(counts), 2),
        "vocabulary": len({word for turns in said for turn in turns for word in turn}),
        "first three words": len(openings),
        "share of first three words": len(openings) / len(counts),
    }
    for n in LENGTHS:
        grams = [
            tuple(w[i : i + n]) for turns in said for w in turns for i in range(len(w) - n + 1)
        ]
        found[f"{n}-grams"] = len(set(grams))
        found[f"share of {n}-grams"] = round(len(set(grams)) / max(1, len(grams)), 4)
    marks = [shingles(task) for task in tasks]
    drawn = (rng.sample(range(len(marks)), 2) for _ in range(PAIRS))
    found["similarity of pairs"] = round(fmean(jaccard(marks[i], marks[j]) for i, j in drawn), 5)
    nearest = [
        max(jaccard(one, two) for j, two in enumerate(marks) if j != i)
        for i, one in enumerate(marks)
    ]
    found["similarity of the nearest"] = round(fmean(nearest), 4)
    return {name: round(value, 5) for name, value in found.items()}


def print_table(found: dict[str, Any]) -> None:
    sets = found["sets"]
    print(f"{found['sample']} tasks of each".ljust(30) + "".join(f"{name:>14}" for name in sets))
    for row in next(iter(sets.values())):
        print(f"{row:<30}" + "".join(f"{values[row]:>14g}" for values in sets.values()))


if __name__ == "__main__":
    sys.exit(main())
