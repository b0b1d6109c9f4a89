"""Compares our verdict with the official checker's on corrupted transcripts.

`progress == 1` must be the official verdict. The one intended difference: a call in a turn without
ground truth fails that turn here, and is not executed, while the official checker executes it and
does not check the turn. Such episodes are compared with those calls taken out on the official side,
leaving those turns out on ours; how many there were, and how many got another verdict for that
reason alone, is printed.

    python benchmarks/parity.py --episodes 20000 --seed 0
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from pathlib import Path

from corruption import DRAWS, READS, Corruption
from official import OfficialChecker
from rods.envs.base import Environment
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import CATEGORIES, benchmark_tasks, tool_specs
from rods.envs.guard import GuardedEnvironment
from rods.envs.notation import parse_calls
from rods.reward import GoldTrace, gold_trace
from rods.scoring import score_many
from rods.task import Call

BATCH = 64


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guarded", action="store_true", help="score behind the guard")
    parser.add_argument("--out", type=Path, help="write the counts as JSON")
    args = parser.parse_args()
    counts = compare(args.episodes, args.seed, args.guarded)
    print(json.dumps(counts, indent=1))
    if args.out:
        args.out.write_text(json.dumps(counts, indent=1) + "\n")
    print(f"disagreements {counts['disagreements']} of {counts['episodes']}")
    return 1 if counts["disagreements"] else 0


def compare(episodes: int, seed: int, guarded: bool = False) -> dict[str, object]:
    """Counts over `episodes` transcripts, the four categories in turn."""
    env: Environment = GuardedEnvironment(BfclEnvironment()) if guarded else BfclEnvironment()
    official, tasks = OfficialChecker(), list(benchmark_tasks().values())
    groups = {c: [t for t in tasks if t.category == c] for c in CATEGORIES}
    corruption = Corruption(tasks, _read(READS), _read(DRAWS))
    traces: dict[str, GoldTrace] = {}
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    disagreements = []
    for first in range(0, episodes, BATCH):
        jobs = []
        for number in range(first, min(first + BATCH, episodes)):
            rng = random.Random(f"{seed} {number}")
            task = rng.choice(groups[CATEGORIES[number % len(CATEGORIES)]])
            answer, faults = corruption.draw(task, rng)
            kinds.update(faults)
            if task.source not in traces:
                traces[task.source] = gold_trace(task, env)
            jobs.append((task, answer, traces[task.source]))
        for (task, answer, _), (verdicts, _, _) in zip(jobs, score_many(jobs, env), strict=True):
            empty = [i for i, turn in enumerate(task.turns) if not turn.ground_truth and answer[i]]
            honest = all(v.passed for i, v in enumerate(verdicts) if i not in empty)
            stripped = [[] if i in empty else turn for i, turn in enumerate(answer)]
            theirs = official.check(task, stripped)
            counts["right" if theirs else "wrong"] += 1
            if empty:
                counts["acted in an empty turn"] += 1
                counts["other verdict for that alone"] += official.check(task, answer)
                if any(verdicts[i].passed for i in empty):
                    disagreements.append([task.source, [list(map(str, t)) for t in answer]])
            if honest != theirs:
                # Its two sides share tables and default lists: one may change the other's state.
                counts["agree where it shares nothing"] += honest == official.check(
                    task, stripped, sealed=True
                )
                disagreements.append([task.source, [list(map(str, t)) for t in answer]])
    for found in disagreements[:20]:
        print("DISAGREE", json.dumps(found), file=sys.stderr)
    return {
        "episodes": episodes,
        "seed": seed,
        "guarded": guarded,
        **dict(sorted(counts.items())),
        "faults": dict(sorted(kinds.items())),
        "disagreements": len(disagreements),
    }


def _read(texts: dict[str, tuple[str, ...]]) -> dict[str, list[Call]]:
    tools = tool_specs()
    return {
        owner: [call for text in found for call in parse_calls(text, tools)]
        for owner, found in texts.items()
    }


if __name__ == "__main__":
    sys.exit(main())
