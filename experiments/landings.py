"""Where the variants of unfinished runs land, by blocks of training steps.

    python experiments/landings.py runs/one runs/two --out experiments/results/landings.json

For each block: the first complete groups of the variants that joined (how many, mean outcome, share
with signal, share with a mean within [0.25, 0.75]), the mean number of active tasks, the share of
all groups with signal. Held-out tasks are not read. `rods compare` has the same by thirds, of
finished runs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

from rods.comparison.record import Record
from rods.comparison.result import Landing, rounded
from rods.store.store import Store

BLOCK = 36  # steps


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
    kept = ("preset", "seed", "pool", "synthesis", "boundary")
    return {"config": {name: record.config[name] for name in kept}, "blocks": blocks}


if __name__ == "__main__":
    main()
