"""Has the official checker judge the kept episodes of an evaluation: `rods eval --out DIR`.

Of each episode whose turns were all judged, the official verdict on its calls must be whether our
progress is 1. Calls in turns without ground truth are left out on both sides, as in `parity.py`:
the official checker does not check these turns. How many episodes have such calls, and which of
them got another verdict for that reason alone, is counted. Episodes that ended before their last
turn was judged are incomplete in both; they are counted, and not judged here.

    python benchmarks/eval_official.py DIR --out results.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from official import OfficialChecker
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.errors import UserError
from rods.evaluation.episodes import EpisodeRow, read_rows
from rods.evaluation.folder import EPISODES
from rods.task import Call

HARMLESS = {"unknown tool", "unknown argument", "missing argument"}
UNKNOWN = Call.model_construct(name="unknown_tool", arguments={})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of an evaluation of bfcl")
    parser.add_argument("--out", type=Path, help="write the counts as JSON")
    args = parser.parse_args()
    try:
        counts = compare(args.folder)
    except UserError as error:
        print(f"eval_official: {error}", file=sys.stderr)
        return 2
    if args.out:
        args.out.write_text(json.dumps(counts, indent=1) + "\n")
    print(json.dumps(counts, indent=1))
    print(f"disagreements {counts['disagreements']} of {counts['judged']}")
    return 1 if counts["disagreements"] else 0


def compare(folder: Path) -> dict[str, Any]:
    """Counts over the episodes of an evaluation.

    Raises:
        UserError: it is none, or of other tasks than the benchmark's.
    """
    official, counts = OfficialChecker(), Counter[str]()
    wrong = [
        {"task": row.task, "run": row.run, "ours": row.progress}
        for row in read_rows(folder / EPISODES, messages=True)
        if not _agrees(row, official, counts)
    ]
    for found in wrong[:20]:
        print("DISAGREE", json.dumps(found), file=sys.stderr)
    judged = counts["accepted by both"] + counts["refused by both"] + len(wrong)
    return {**dict(sorted(counts.items())), "judged": judged, "disagreements": len(wrong)}


def _agrees(row: EpisodeRow, official: OfficialChecker, counts: Counter[str]) -> bool:
    if row.task not in benchmark_tasks() or benchmark_tasks()[row.task].id != row.id:
        raise UserError(f"{row.task}: no task of the benchmark")
    task = benchmark_tasks()[row.task]
    counts["episodes"] += 1
    if row.progress is None or row.judged < len(task.turns):
        counts["ended before the last turn"] += 1
        return True
    if row.refusals.keys() - HARMLESS:
        counts["stopped calls"] += 1
        return True
    answer = [[_harmless(call) for call in calls] for calls in row.turns]
    empty = {i for i, turn in enumerate(task.turns) if not turn.ground_truth}
    stripped = [[] if i in empty else calls for i, calls in enumerate(answer)]
    passed = [verdict["state"] and verdict["exec"] for verdict in row.verdicts]
    ours = all(ok for i, ok in enumerate(passed) if i not in empty)
    theirs = official.check(task, stripped)
    if any(answer[i] for i in empty):
        counts["calls in a turn without ground truth"] += 1
        counts["refused here for that alone"] += ours and theirs
    elif ours != bool(row.complete):
        return False
    counts["complete here"] += bool(row.complete)
    if ours == theirs:
        counts[f"{'accepted' if ours else 'refused'} by both"] += 1
    elif official.check(task, stripped, sealed=True) == ours:
        counts["refused by both"] += 1
        counts["other verdict for what its two sides share"] += 1
        return True
    return ours == theirs


def _harmless(call: dict[str, Any]) -> Call:
    tool = tool_specs().get(call["name"])
    if tool is None or call["arguments"].keys() - tool.parameters.keys():
        return UNKNOWN
    return Call.model_construct(**call)


if __name__ == "__main__":
    sys.exit(main())
