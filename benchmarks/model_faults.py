"""Synthesis by a model that fails and lies: does anything invalid get through?

    python benchmarks/model_faults.py --attempts 5000 --out benchmarks/results/model_faults.json

First that many attempts against an endpoint that spoils a share of its answers in every way that
the tests know. Everything admitted is verified again by a new critic in another environment, and
its ground truth by the official checker. Then the competent model alone, with the holistic rewrite
and without, so that the two funnels can be compared.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from export_check import check
from model_server import served
from rods.files.tasks import write_tasks
from rods.synthesis.batches import JobRunner, in_threads
from rods.synthesis.critique import Siblings, verify_tasks
from rods.synthesis.inputs import SynthesisInputs, benchmark_inputs
from rods.synthesis.llm.backend import ModelBackend
from rods.synthesis.llm.endpoint import EndpointConfig
from rods.task import Task

THREADS = 6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attempts", type=int, default=5_000)
    parser.add_argument("--compared", type=int, default=1_000, help="attempts of each funnel")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=float, default=0.02, help="share of requests")
    parser.add_argument("--lies", type=float, default=0.04, help="share of requests")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    world = benchmark_inputs()
    with served(args.seed, args.faults, args.lies) as server:
        found, tasks = attempted(server.url, args.attempts, args.seed, world, rewrite=True)
        found["requests"] = server.seen()["kinds"]
    found |= judged(tasks, world)
    found["code was run"] = (Path.cwd() / "owned-by-the-model").exists()
    for rewrite in (True, False):
        with served(args.seed, 0, 0) as server:
            funnel, made = attempted(server.url, args.compared, args.seed, world, rewrite=rewrite)
        funnel |= judged(made, world)
        found[f"competent, {'with' if rewrite else 'without'} rewrite"] = funnel
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"invalid {found['invalid']} of {found['admitted']} admitted, {found['tried']} attempts")
    return 1 if found["invalid"] or found["code was run"] or not found["admitted"] else 0


def attempted(
    url: str, attempts: int, seed: int, world: SynthesisInputs, *, rewrite: bool
) -> tuple[dict[str, Any], list[Task]]:
    """So many attempts, as `rods synth` makes them."""
    config = EndpointConfig(url=url, model="scripted", timeout=1.0, retries=2, parallel=THREADS)
    backend = ModelBackend(config, rewrite=rewrite)
    maker = JobRunner(
        backend.pipeline(world.pipeline(), world.env), world.parents, seed, size=1, tries=2
    )
    funnel, passed, siblings = Counter[str](), Counter[str](), Siblings()
    tasks: list[Task] = []
    began = time.monotonic()
    batches = in_threads(maker, THREADS)(0)
    while funnel["tried"] < attempts:
        for made in next(batches):
            funnel.update(made.funnel)
            passed.update(made.passed)
            for task in made.variants:
                if not siblings.fault(task):
                    siblings.add(task)
                    tasks.append(task)
    batches.close()
    told = {
        "tried": funnel["tried"],
        "stages": dict(passed),
        "admitted": len(tasks),
        "outcomes": dict(funnel.most_common()),
        "categories": dict(Counter(task.category for task in tasks)),
        "seconds": round(time.monotonic() - began, 1),
    }
    return told, tasks


def judged(tasks: list[Task], world: SynthesisInputs) -> dict[str, Any]:
    """What other judges say of what was admitted."""
    refused = {name: gate for name, gate in verify_tasks(tasks, world) if gate}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tasks.jsonl"
        write_tasks(path, tasks)
        official = check(path, len(tasks), 0)
    bad = (
        official.get("ground truth: refused by the official checker", 0) + official["disagreements"]
    )
    left = official["left out"]
    return {"verify refused": refused, "official": official, "invalid": len(refused) + bad + left}


if __name__ == "__main__":
    sys.exit(main())
