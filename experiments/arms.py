"""Runs the comparison arms of the micro preset over seeds and keeps their summaries.

    python experiments/arms.py --runs runs/arms --seeds 0 1 2 --jobs 2

Finished runs are not repeated and interrupted ones go on. The summaries are written to `--out`, and
the table is printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from typing import Any

RESULTS = Path(__file__).parent / "results" / "arms.json"
KEYS = ("arm", "seed", "preset", "steps", "epochs", "trajectories", "generated_tokens", "wall_s")
KEYS += ("synthesis_s", "heldout", "pool", "signal", "causes")


def run(arm: str, seed: int, folder: Path, overrides: list[str]) -> dict[str, Any]:
    """One run to its end; its summary."""
    summary = folder / "summary.json"
    if not summary.exists():
        command = [sys.executable, "-m", "rods", "train", "--run", str(folder), "--arm", arm]
        command += ["--preset", "micro", "--seed", str(seed)]
        for override in overrides:
            command += ["--set", override]
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "log.txt").open("a") as log:
            subprocess.run(command, stdout=log, stderr=log, check=True)
    data = json.loads(summary.read_text())
    return {key: data[key] for key in KEYS}


def table(rows: list[dict[str, Any]]) -> str:
    """Held-out progress and completion by run, and the mean change of each arm."""
    lines = ["arm     seed  progress before -> after (change)   complete    signal first -> last"]
    for row in rows:
        one, two = (row["heldout"][when]["overall"] for when in ("before", "after"))
        lines.append(
            f"{row['arm']:<7} {row['seed']:>4}  {one['progress']:.3f} -> {two['progress']:.3f}"
            f" ({two['progress'] - one['progress']:+.3f})"
            f"             {one['complete']:.3f} -> {two['complete']:.3f}"
            f"   {row['signal'][0]:.2f} -> {row['signal'][-1]:.2f}"
        )
    for arm in dict.fromkeys(row["arm"] for row in rows):
        found = [r["heldout"] for r in rows if r["arm"] == arm]
        changes = {
            key: fmean(h["after"]["overall"][key] - h["before"]["overall"][key] for h in found)
            for key in ("progress", "complete")
        }
        lines.append(
            f"{arm:<7} mean  progress {changes['progress']:+.3f}, complete"
            f" {changes['complete']:+.3f} over {len(found)} seeds"
        )
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/arms"))
    parser.add_argument("--arms", nargs="+", default=["rods", "fresh", "static"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    options = parser.parse_args()
    jobs = [(arm, seed) for arm in options.arms for seed in options.seeds]
    with ThreadPoolExecutor(options.jobs) as pool:
        rows = list(
            pool.map(
                lambda job: run(*job, options.runs / f"{job[0]}-{job[1]}", options.overrides), jobs
            )
        )
    rows.sort(key=lambda row: (options.arms.index(row["arm"]), row["seed"]))
    options.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
