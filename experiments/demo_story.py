"""What finished runs came to: held-out change, groups with signal, and where variants landed.

    python experiments/demo_story.py runs/demo-0 runs/demo-1 --out FILE

A variant lands with the first complete group of a task that synthesis made. The paper finds such
groups' means within [0.25, 0.75].
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rods.comparison.result import HIGH, LOW, Landing
from rods.group import Group, signal_share
from rods.store.store import Store

LAST = 5  # epochs


def story(folder: Path) -> dict[str, Any]:
    """One run in a few figures."""
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    store = Store(folder, role="reader")
    try:
        groups = store.groups()
        injected = {event.task_id for event in store.iter_events() if event.kind == "injected"}
    finally:
        store.close()
    first: dict[str, Group] = {}
    for group in groups:
        if group.task_id in injected and group.complete:
            first.setdefault(group.task_id, group)
    before, after = (summary["heldout"][when]["overall"] for when in ("before", "after"))
    last = max(group.epoch for group in groups)
    return {
        "arm": summary["arm"],
        "seed": summary["seed"],
        "steps": summary["steps"],
        "progress": [before["progress"], after["progress"]],
        "complete": [before["complete"], after["complete"]],
        "signal_first_epochs": signal_share(g for g in groups if g.epoch < LAST),
        "signal_last_epochs": signal_share(g for g in groups if g.epoch > last - LAST),
        "injected": len(injected),
        "retired": summary["pool"]["retired"],
        "variants": Landing.of(list(first.values())).model_dump(exclude_none=True),
        "lost": summary.get("lost", 0),
        "generated_tokens": summary["generated_tokens"],
        "wall_s": summary["wall_s"],
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = [story(folder) for folder in options.runs]
    for row in rows:
        (one, two), (done, more) = row["progress"], row["complete"]
        variants = row["variants"]
        print(
            f"seed {row['seed']}: progress {one:.3f} -> {two:.3f} ({two - one:+.3f}), complete"
            f" {done:.3f} -> {more:.3f}; signal {row['signal_first_epochs']:.2f} ->"
            f" {row['signal_last_epochs']:.2f}; {variants['groups']} variants landed at"
            f" {variants.get('mean', 0):.2f}, {variants.get('signal', 0):.0%} with signal,"
            f" {variants.get('in_zone', 0):.0%} within [{LOW}, {HIGH}]"
        )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
