"""Which rungs of the ladder give groups with signal, in the first two epochs of a run.

    rods synth --cold --env examples.clinic.tools:Clinic --start examples/clinic/start.yaml \
        --count 100 --out cold.jsonl
    rods train --run runs/cold --env examples.clinic.tools:Clinic --tasks cold.jsonl \
        --preset micro --arm static --set 'stages=[{reward: progress}]' --set steps=9 \
        --set policy.tokens=60000
    python benchmarks/cold_signal.py runs/cold cold.jsonl --out benchmarks/results/cold-signal.json

`policy.tokens` says how much the small policy was pretrained: with few tokens it can do hardly
anything. The signal is that of docs/glossary.md: the rewards of a group differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rods.errors import UserError
from rods.files.output import Output
from rods.files.tasks import read_tasks
from rods.group import Group
from rods.store.store import Store
from rods.synthesis.cold.ladder import LADDER

EPOCHS = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, nargs="+", help="run folders, and the cold tasks last")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    args = parser.parse_args()
    *runs, file = args.run
    try:
        rungs = {task.id: task.note for task in read_tasks(file)}
        found = {run.name: figures(run, rungs) for run in runs}
        text = json.dumps(found, indent=1)
        if args.out:
            Output(args.out).write(text + "\n")
        print(text)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def figures(run: Path, rungs: dict[str, str]) -> dict[str, Any]:
    """Groups, their signal and their mean outcome, in all and by rung.

    Raises:
        UserError: the folder is no run.
    """
    store = Store(run, role="reader")
    try:
        groups = [group for group in store.groups() if group.epoch < EPOCHS]
        first = [metrics for metrics in store.measures.metrics() if metrics["step"] == 1]
    finally:
        store.close()
    by_rung: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        by_rung[rungs.get(group.task_id, "a variant")].append(group)
    return {
        "groups": len(groups),
        "with signal": _signal(groups),
        "with signal in the first step": first[0]["signal"] if first else None,
        "by rung": {
            rung.name: {
                "groups": len(by_rung[rung.name]),
                "with signal": _signal(by_rung[rung.name]),
                "mean outcome": round(fmean(g.mean for g in by_rung[rung.name]), 3),
            }
            for rung in LADDER
            if by_rung[rung.name]
        },
    }


def _signal(groups: Sequence[Group]) -> float:
    return round(sum(not group.constant for group in groups) / max(1, len(groups)), 3)


if __name__ == "__main__":
    sys.exit(main())
