"""`rods eval` on all 800 tasks against two scripted agents: `python benchmarks/eval_agents.py`.

The perfect agent makes the calls of the ground truth and must complete every task; the official
checker judges its kept episodes as well. The silent agent makes no call: what it gets is what the
reward pays for doing nothing.

    python benchmarks/eval_agents.py --out benchmarks/results/eval_scripted_agents.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import eval_official
from rods.evaluation.endpoint import PROBE_TOKENS
from rods.evaluation.selection import select

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from scripted_agent import Perfect, silent
from scripted_endpoint import Reply, ScriptedEndpoint


def evaluate(name: str, agent: Callable[[dict[str, Any]], Reply]) -> Mapping[str, Any]:
    """Summary of the agent's evaluation, and the official checker's counts over its episodes."""

    def answer(request: dict[str, Any]) -> Reply:
        return silent(request) if request["max_tokens"] <= PROBE_TOKENS else agent(request)

    with tempfile.TemporaryDirectory() as folder, ScriptedEndpoint(answer) as server:
        command = ["eval", "--endpoint", server.url, "--model", name, "--split", "all"]
        command += ["--temperature", "1", "--out", folder, "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "rods", *command], stdout=subprocess.PIPE, check=True
        )
        return {
            "evaluation": json.loads(done.stdout),
            "official": eval_official.compare(Path(folder)),
        }


def main() -> None:
    """Evaluate both, print their shares, and fail if the perfect one misses a task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    args = parser.parse_args()
    perfect = Perfect(select("bfcl", None, "all", (), None).tasks)
    found = {"perfect": evaluate("perfect", perfect), "silent": evaluate("silent", silent)}
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, one in found.items():
        for category, row in one["evaluation"]["results"].items():
            complete, progress = row["complete"]["mean"], row["progress"]["mean"]
            print(f"{name:<10}{category:<15}complete {complete:.4f}  progress {progress:.4f}")
        print(f"{name:<10}official checker {one['official']}")
    results = found["perfect"]["evaluation"]["results"].values()
    if any(row["complete"]["mean"] < 1 for row in results):
        sys.exit("The perfect agent missed a task.")


if __name__ == "__main__":
    main()
