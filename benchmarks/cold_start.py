"""Tasks made without a human task, next to the human seed tasks of the same tools.

    rods synth --cold --env examples.clinic.tools:Clinic --start examples/clinic/start.yaml \
        --count 100 --out cold.jsonl
    python benchmarks/cold_start.py cold.jsonl --env examples.clinic.tools:Clinic \
        --tasks examples/clinic/tasks.yaml --out benchmarks/results/cold-clinic.json

A category of the human tasks other than `base` is left out with `--category base`: a cold start
makes no turn that withholds or lacks something. The faults are those of docs/meaning.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rods.errors import UserError
from rods.files.output import Output
from rods.files.tasks import read_tasks
from rods.synthesis.critique import verify_tasks
from rods.synthesis.inputs import SynthesisInputs, inputs_of, of_category
from rods.synthesis.meaning.learned import Learned
from rods.synthesis.meaning.trace import CallTrace
from rods.task import Task

DEEPEST = 6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="tasks as rods synth --cold writes them")
    parser.add_argument("--env", required=True, help="package.module:Class")
    parser.add_argument("--tasks", type=Path, required=True, help="the human seed tasks")
    parser.add_argument("--category", help="only human tasks of this category")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    args = parser.parse_args()
    try:
        found = compare(args.file, inputs_of(args.env, args.tasks), args.env, args.category)
        print_table(found)
        if args.out:
            Output(args.out).write(json.dumps(found, indent=1) + "\n")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def compare(file: Path, inputs: SynthesisInputs, env: str, category: str | None) -> dict[str, Any]:
    """The figures of both.

    Raises:
        UserError: the file holds no tasks, or one cannot be executed.
    """
    made, bare = read_tasks(file), inputs_of(env, None, bare=True)
    if not made:
        raise UserError(f"{file}: no tasks")
    refused = Counter(gate for _, gate in verify_tasks(made, bare) if gate)
    human = of_category(inputs.seeds, category)
    sets = {"human": human, "cold": made}
    return {
        "environment": env,
        "tools": len(inputs.tools),
        "refused by rods verify": dict(refused),
        "rungs": dict(sorted(Counter(task.note for task in made).items())),
        "sets": {name: figures(tasks, inputs) for name, tasks in sets.items()},
    }


def figures(tasks: Sequence[Task], inputs: SynthesisInputs) -> dict[str, Any]:
    """Depth, calls, turns, tools and faults of some tasks."""
    traces = [CallTrace(task, inputs.env) for task in tasks]
    phis, size = [trace.profile for trace in traces], len(tasks)
    depth = Counter(min(phi.depth, DEEPEST) for phi in phis)
    used = Counter(call.name for task in tasks for call in task.calls)
    calls = sum(used.values())
    faults = Counter(
        notion
        for trace in traces
        for notion, places in Learned(inputs.tools).faults(trace).items()
        if places
    )
    return {
        "tasks": size,
        "turns a task": round(fmean(len(task.turns) for task in tasks), 2),
        "calls a task": round(calls / size, 2),
        "depth": round(fmean(phi.depth for phi in phis), 2),
        "tasks by depth": {str(d): depth[d] for d in range(1, DEEPEST + 1)},
        "value edges a task": round(fmean(phi.summary()["value edges"] for phi in phis), 2),
        "writes, of all calls": round(
            sum(trace.roles.count("write") for trace in traces) / calls, 3
        ),
        "sequences of calls": len({tuple(c.name for c in task.calls) for task in tasks}),
        "tools used": len(used),
        "tools never used": sorted(set(inputs.tools) - set(used)),
        "calls by tool": dict(used.most_common()),
        "tasks with faults": dict(faults),
    }


def print_table(found: dict[str, Any]) -> None:
    print(f"{found['environment']}: {found['tools']} tools")
    for name in ("rungs", "refused by rods verify"):
        print(f"{name}: {found[name]}")
    human, cold = found["sets"]["human"], found["sets"]["cold"]
    for name, value in human.items():
        print(f"{name:<24} {value}  |  {cold[name]}")


if __name__ == "__main__":
    sys.exit(main())
