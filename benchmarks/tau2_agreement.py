"""Compares our verdicts on imported tasks of tau2-bench with the benchmark's own database check.

The benchmark executes the reference calls and the agent's in its whole database, and compares
digests of the two. Four agents are judged by both: one that plays the reference calls, one that
leaves out the last of them, one that leaves out the last that changes the database, and one that
makes no call.

    export TAU2_BENCH=$PWD/tau2-bench PYTHONPATH=benchmarks
    rods import tau2 tau2-bench --domain retail --env tau2_toolkits:Retail --out retail.jsonl
    python benchmarks/tau2_agreement.py retail retail.jsonl \
        --out benchmarks/results/tau2-retail.json
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tau2_toolkits  # its import makes the benchmark's packages known
from rods.envs.load import load_environment
from rods.envs.task_file import read_task_file
from rods.files.output import Output
from rods.scoring import score
from rods.task import Call, Task

DATA = Path(os.environ["TAU2_BENCH"]) / "data" / "tau2" / "domains"
DATABASES = {"retail": "RetailDB", "airline": "FlightDB"}  # classes of the benchmark
READS = ("get_", "find_", "list_", "search_", "calculate", "think", "transfer_")
VERDICTS = {  # ours, the benchmark's
    (True, True): "both pass",
    (True, False): "only ours passes",
    (False, True): "only the benchmark's passes",
    (False, False): "none passes",
}


class Check:
    """The benchmark's database check, on its toolkit and its own digest of a database."""

    def __init__(self, domain: str) -> None:
        self.kit = getattr(tau2_toolkits, domain.capitalize())
        self.tasks = {t["id"]: t for t in json.loads((DATA / domain / "tasks.json").read_text())}
        base = getattr(getattr(tau2_toolkits, domain), DATABASES[domain])
        self.start = base.model_validate(json.loads((DATA / domain / "db.json").read_text()))
        self.gold: dict[str, str] = {}

    def matches(self, known: str, calls: Sequence[Call]) -> bool:
        """Whether the calls lead to the database of the reference calls, all of them."""
        if known not in self.gold:
            actions = self.tasks[known]["evaluation_criteria"]["actions"]
            self.gold[known] = self._after((a["name"], a["arguments"]) for a in actions)
        return self._after((c.name, c.arguments) for c in calls) == self.gold[known]

    def _after(self, calls: Any) -> str:
        tools = self.kit(self.start.model_copy(deep=True))
        for name, arguments in calls:
            try:
                getattr(tools, name)(**arguments)
            except Exception:  # the benchmark goes on after it too
                continue
        found: str = tools.db.get_hash()
        return found


def agents(task: Task, writes: frozenset[str]) -> dict[str, list[Call]]:
    """The calls of each agent."""
    calls = task.calls
    last = max((i for i, call in enumerate(calls) if call.name in writes), default=None)
    shorter = [call for i, call in enumerate(calls) if i != last]
    return {
        "reference calls": calls,
        "without the last call": calls[:-1],
        "without the last write": shorter,
        "no call": [],
    }


def main() -> None:
    """Count both verdicts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("domain", choices=("retail", "airline"))
    parser.add_argument("tasks", type=Path, help="what rods import tau2 wrote")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    given = parser.parse_args()
    env = load_environment(f"tau2_toolkits:{given.domain.capitalize()}")
    writes = frozenset(name for name in env.specs if not name.startswith(READS))
    check, counts = Check(given.domain), defaultdict[str, Counter[str]](Counter)
    tasks = read_task_file(given.tasks, env)
    for task in tasks:
        for name, calls in agents(task, writes).items():
            ours = all(verdict.passed for verdict in score(task, env, [calls]))
            theirs = check.matches(task.label.removeprefix(f"{given.domain}_"), calls)
            counts[name][VERDICTS[ours, theirs]] += 1
    found = {"domain": given.domain, "tasks": len(tasks), "agents": counts}
    print(json.dumps(found, indent=1))
    if given.out:
        Output(given.out).write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
