"""Has the official checker judge tasks exported to the benchmark's format.

It reads the exported files alone. The ground truth must be accepted, and a wrong answer must get
the verdict that it gets here. The official checker does not look at turns without ground truth,
and executes what is called there: such calls are taken out on its side for the comparison, as in
`parity.py`, and what it says with them is counted apart, as are silent answers. Its two sides share
tables and default lists; where a wrong answer gets another verdict for that reason alone, as the
same checker with its sides apart shows, it is counted apart too.

    python benchmarks/export_check.py --tasks tasks.jsonl --count 2000 --seed 0 --out export.json
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from official import OfficialChecker
from rods.envs.bfcl import BfclEnvironment
from rods.errors import UserError
from rods.export.bfcl import read
from rods.export.folder import export
from rods.reward import gold_trace
from rods.scoring import score_many
from rods.synthesis.gates import wrong_answers
from rods.task import Call, Task

Answer = Sequence[Sequence[Call]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=Path, required=True, help="JSON lines of tasks")
    parser.add_argument("--count", type=int, default=2000, help="most tasks that are judged")
    parser.add_argument("--seed", type=int, default=0, help="which, where there are more")
    parser.add_argument("--out", type=Path, help="write the counts as JSON")
    args = parser.parse_args()
    try:
        counts = check(args.tasks, args.count, args.seed)
    except UserError as error:
        print(f"export_check: {error}", file=sys.stderr)
        return 2
    print(json.dumps(counts, indent=1))
    if args.out:
        args.out.write_text(json.dumps(counts, indent=1) + "\n")
    print(f"disagreements {counts['disagreements']} of {counts['judged']}")
    return 1 if counts["disagreements"] else 0


def check(path: Path, count: int, seed: int) -> dict[str, Any]:
    """Counts over a sample of the file's tasks."""
    counts: Counter[str] = Counter()
    found: list[dict[str, Any]] = []
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "exported"
        done = export(path, "bfcl", folder)
        counts["exported"], counts["left out"] = done.tasks, len(done.left_out)
        official, tasks = OfficialChecker(folder), read(folder)
    if len(tasks) > count:
        tasks = random.Random(seed).sample(tasks, count)
    env = BfclEnvironment()
    for task in tasks:
        gold = gold_trace(task, env)
        truth = [turn.ground_truth for turn in task.turns]
        answers: list[Answer] = [truth, *wrong_answers(task)]
        scored = score_many([(task, answer, gold) for answer in answers], env)
        for answer, (verdicts, _, _) in zip(answers, scored, strict=True):
            ours = [verdict.passed for verdict in verdicts]
            found += _compare(task, answer, ours, official, counts)
        counts[f"tasks: {task.category}"] += 1
    for row in found[:20]:
        print("DISAGREE", json.dumps(row), file=sys.stderr)
    parts = dict(sorted(counts.items()))
    return {"tasks": len(tasks), "seed": seed, **parts, "disagreements": len(found)}


def _compare(
    task: Task, answer: Answer, ours: list[bool], official: OfficialChecker, counts: Counter[str]
) -> list[dict[str, Any]]:
    """The disagreement on one answer, if there is one."""
    empty = [i for i, turn in enumerate(task.turns) if not turn.ground_truth and answer[i]]
    asked = [() if i in empty else calls for i, calls in enumerate(answer)]
    honest = all(passed for i, passed in enumerate(ours) if i not in empty)
    theirs = official.check(task, asked)
    counts["judged"] += 1
    if answer == [turn.ground_truth for turn in task.turns]:
        kind, fair = "ground truth", theirs and all(ours)
    elif not any(answer):
        kind, fair = "silence", theirs == honest
    elif empty:
        kind, fair = "call in an empty turn", theirs == honest and not all(ours)
        told = "accepted" if official.check(task, answer) else "refused for its effect"
        counts[f"{kind}: {told} by the official checker as it stands"] += 1
    else:
        kind, fair = "wrong answer", theirs == honest
    counts[f"{kind}: {'accepted' if theirs else 'refused'} by the official checker"] += 1
    if fair:
        return []
    if kind != "ground truth" and official.check(task, asked, sealed=True) == honest:
        counts[f"{kind}: {'accepted' if theirs else 'refused'} for what its sides share"] += 1
        return []
    written = [list(map(str, turn)) for turn in answer]
    return [{"task": task.source, "kind": kind, "ours": ours, "official": theirs, "is": written}]


if __name__ == "__main__":
    sys.exit(main())
