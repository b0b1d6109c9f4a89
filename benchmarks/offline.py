"""The offline pipeline as a whole: `rods synth`, `rods verify`, and what the tasks are like.

    python benchmarks/offline.py --tasks made.jsonl --out benchmarks/results/offline.json

Time and peak memory (resident, summed over the processes) are those of the commands themselves.
Afterwards the file is read again: duplicates, shares of the categories, classes and functions used,
distances from the parents' profiles, and depth of dependencies beside the seeds'.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from rods.envs.bfcl_data import SIMULATORS
from rods.files.tasks import read_tasks
from rods.profile import Profile, distance, profile
from rods.synthesis.inputs import benchmark_inputs
from rods.task import Task

SEEDS = "train+validation"
RODS = [sys.executable, "-m", "rods"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=17_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tasks", type=Path, required=True, help="the file to be made")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    options = ["--seeds", SEEDS, "--json"]
    made = [*RODS, "synth", "--count", str(args.count), "--out", str(args.tasks)]
    made += ["--seed", str(args.seed), "--workers", str(args.workers), *options]
    synth, seconds, peak = measured(made)
    verify, verifying, _ = measured([*RODS, "verify", str(args.tasks), *options])
    found: dict[str, Any] = {
        "command": f"rods synth --count {args.count} --seeds {SEEDS} --seed {args.seed}",
        "workers": args.workers,
        "seconds": round(seconds, 1),
        "tasks a second": round(args.count / seconds, 1),
        "peak MB": round(peak / 1e6),
        "stages": synth["stages"],
        "funnel": synth["funnel"],
        "verify seconds": round(verifying, 1),
        "verify refused": Counter(verify["refused"].values()),
        **described(read_tasks(args.tasks)),
    }
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if verify["refused"] or found["duplicates"] else 0


def measured(command: Sequence[str]) -> tuple[dict[str, Any], float, int]:
    """What a command printed, its seconds, and the peak of its processes' memory in bytes."""
    began, peak = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
        while job.poll() is None:
            peak = max(peak, sum(map(resident, family(job.pid))))
            time.sleep(0.2)
        assert job.stdout is not None
        out = job.stdout.read()
    if not out.startswith("{"):
        raise SystemExit(f"{command[3]} failed")
    return json.loads(out), time.monotonic() - began, peak


def family(pid: int) -> Iterable[int]:
    """A process and all its children."""
    yield pid
    try:
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from family(int(child))
    except OSError:
        return


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def described(tasks: Sequence[Task]) -> dict[str, Any]:
    """Figures of a file of tasks beside those of its seeds."""
    world = benchmark_inputs(SEEDS)
    seeds = {task.id: task for task in world.parents}
    phi = {name: profile(task, world.env) for name, task in seeds.items()}
    made = [profile(task, world.env) for task in tasks]
    far = [distance(p, phi[task.parent]) for p, task in zip(made, tasks, strict=True)]
    cuts = quantiles(far, n=20)
    tools = {name for task in tasks for name in (call.name for call in task.calls)}
    return {
        "duplicates": len(tasks) - len({task.id for task in tasks}),
        "distinct words": len({tuple(turn.user for turn in task.turns) for task in tasks}),
        "seeds": len(seeds),
        "seeds with a task": len({task.parent for task in tasks}),
        "categories": shares(task.category for task in tasks),
        "categories of the seeds": shares(task.category for task in seeds.values()),
        "classes": sorted({c for task in tasks for c in task.classes}),
        "classes of the benchmark": len(SIMULATORS),
        "functions": len(tools),
        "functions of the seeds": len({c.name for t in seeds.values() for c in t.calls}),
        "functions not used": sorted(set(world.tools) - tools),
        "distance 0": round(sum(d < 1e-9 for d in far) / len(far), 4),
        "distance median, 90 %, 95 %, most": [
            round(v, 4) for v in (cuts[9], cuts[17], cuts[18], max(far))
        ],
        "depth": shares(min(p.depth, 6) for p in made),
        "depth of the seeds": shares(min(p.depth, 6) for p in phi.values()),
        "calls a task": mean_calls(made),
        "calls a task of the seeds": mean_calls(phi.values()),
        "turns": shares(len(p.shape) for p in made),
        "turns of the seeds": shares(len(p.shape) for p in phi.values()),
    }


def shares(values: Iterable[Any]) -> dict[str, float]:
    counts = Counter(values)
    return {str(k): round(n / counts.total(), 4) for k, n in sorted(counts.items())}


def mean_calls(profiles: Iterable[Profile]) -> float:
    sizes = [len(p.tools) for p in profiles]
    return round(sum(sizes) / len(sizes), 2)


if __name__ == "__main__":
    sys.exit(main())
