"""Where the variants of unfinished runs land, by blocks of training steps.

    python experiments/landings.py runs/one runs/two --out experiments/results/landings.json

For each block: the first complete groups of the variants that joined (how many, mean outcome, share
with signal, share with a mean within [0.25, 0.75]), the mean number of active tasks, the share of
all groups with signal. For the whole run: how well the forecasts, and the mean outcome of the
parent task's latest group, tell the variants with signal from those without (area under the curve;
0.5 is chance). Held-out tasks are not read. `rods compare` has the landings of finished runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rods.comparison.record import Record
from rods.comparison.result import Landing, rounded
from rods.group import Group, Signal
from rods.store.store import Store

BLOCK = 36  # steps
AREAS = ("forecast_area", "parent_area")


def main() -> None:
    """Print the blocks of each run, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    found = json.loads(asked.out.read_text("utf-8")) if asked.out.exists() else {}
    for run in asked.runs:
        found[run.name] = rounded(measured(run))
        for block in found[run.name]["blocks"]:
            print(run.name, *(f"{name} {value}" for name, value in block.items()))
        print(run.name, *(f"{name} {found[run.name][name]}" for name in AREAS))
    lines = (f" {json.dumps(name)}: {json.dumps(one)}" for name, one in sorted(found.items()))
    asked.out.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def measured(run: Path) -> dict[str, Any]:
    """The settings of a run that differ from its preset's, and its blocks."""
    store = Store(run, role="reader")
    try:
        with store.snapshot():
            record, lines = Record.read(store), store.measures.metrics()
    finally:
        store.close()
    firsts = [record.firsts[i] for i in record.parents if i in record.firsts]
    blocks = []
    for start in range(0, len(lines), BLOCK):
        part = lines[start : start + BLOCK]
        landing = Landing.of([g for g in firsts if start < g.step <= start + len(part)])
        blocks.append(
            {
                "steps": f"{start + 1}-{start + len(part)}",
                **landing.model_dump(),
                "active": fmean(line["pool"]["active"] for line in part),
                "training_signal": fmean(line["signal"] for line in part),
            }
        )
    made = {task: found[1] for line in lines for task, found in line.get("forecasts", {}).items()}
    kept = ("preset", "seed", "pool", "synthesis", "boundary")
    return {
        "config": {name: record.config[name] for name in kept},
        "blocks": blocks,
        "forecast_area": area([(made[g.task_id], g) for g in firsts if g.task_id in made]),
        "parent_area": area(
            [(-before, g) for g in firsts if (before := parent(record, g)) is not None]
        ),
    }


def parent(record: Record, first: Group) -> float | None:
    """The mean outcome of the parent task's latest group before a variant's first."""
    groups = record.by_task.get(record.parents[first.task_id], [])
    return next((g.mean for g in reversed(groups) if g.step < first.step), None)


def area(pairs: Sequence[tuple[float, Group]]) -> float | None:
    """Chance that a group with signal has a higher value than one without; ties count half."""
    high = [value for value, group in pairs if group.signal is Signal.SIGNAL]
    low = [value for value, group in pairs if group.signal is not Signal.SIGNAL]
    if not high or not low:
        return None
    return fmean((h > v) + (h == v) / 2 for h in high for v in low)


if __name__ == "__main__":
    main()
