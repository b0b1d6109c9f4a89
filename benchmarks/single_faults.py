"""Every ground truth, and every ground truth with one fault, against the official checker.

All 800 must score 1. Then each of their calls is left out, and each argument of each call is
changed, one at a time; wherever the official checker refuses the result, ours must be below 1, and
where it accepts (the call or the value was not needed), ours must be 1.

    python benchmarks/single_faults.py --out benchmarks/results/single_faults.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from official import OfficialChecker
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks
from rods.reward import gold_trace, progress
from rods.scoring import score
from rods.task import Call, Task

Answer = list[list[Call]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    counts = compare(list(benchmark_tasks().values()))
    print(json.dumps(counts, indent=1))
    if args.out:
        args.out.write_text(json.dumps(counts, indent=1) + "\n")
    return 1 if counts["disagreements"] or counts["ground truths"] != counts["at progress 1"] else 0


def compare(tasks: Sequence[Task]) -> dict[str, int]:
    """Counts by kind of fault and official verdict."""
    env, official = BfclEnvironment(), OfficialChecker()
    counts: Counter[str] = Counter({"disagreements": 0})
    for task in tasks:
        gold = gold_trace(task, env)
        right = [list(turn.ground_truth) for turn in task.turns]
        counts["ground truths"] += 1
        counts["at progress 1"] += progress(score(task, env, right, gold), len(right)) == 1.0
        for kind, answer in faults(right):
            ours = progress(score(task, env, answer, gold), len(right)) == 1.0
            theirs = official.check(task, answer)
            counts[f"{kind}, {'accepted' if theirs else 'refused'}"] += 1
            counts["disagreements"] += ours != theirs
    return dict(sorted(counts.items()))


def faults(right: Answer) -> Iterator[tuple[str, Answer]]:
    """The answer with one call dropped or one argument changed, in all ways."""
    for at, turn in enumerate(right):
        for position, call in enumerate(turn):
            before, after = turn[:position], turn[position + 1 :]
            yield "dropped", [*right[:at], before + after, *right[at + 1 :]]
            for name, value in call.arguments.items():
                changed = {**call.arguments, name: other(value)}
                made = Call.model_construct(name=call.name, arguments=changed)
                yield "changed", [*right[:at], [*before, made, *after], *right[at + 1 :]]


def other(value: object) -> object:
    """A value of the same type that differs."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, dict):
        return {key: other(item) for key, item in value.items()} or {"x": 1}
    return [*value, value[-1] if value else "x"] if isinstance(value, list) else "x"


if __name__ == "__main__":
    sys.exit(main())
