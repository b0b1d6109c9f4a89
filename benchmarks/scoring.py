"""Speed of scoring all 800 ground truths: the official checker, and ours trusted and guarded.

One process each (guarded: one worker beside its parent), one after the other in one run, the median
of `--repeats`. Ours scores against ground-truth traces that were computed once, as training does;
their cost is printed too. The simulators' own share is what constructing them, loading the start
states and calling the methods takes within the trusted time.

    python benchmarks/scoring.py --repeats 5 --out benchmarks/results/scoring.json
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from official import OfficialChecker
from rods.envs.base import Environment
from rods.envs.bfcl import STATELESS, BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.bfcl_mends import deep_copy, mutable_defaults, simulator
from rods.envs.guard import GuardedEnvironment
from rods.reward import GoldTrace, gold_trace
from rods.scoring import score_many

BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    tasks = list(benchmark_tasks().values())
    plain = BfclEnvironment()
    guarded = GuardedEnvironment(plain)
    official = OfficialChecker()
    gold = official.gold
    began = time.perf_counter()
    traces = {t.source: gold_trace(t, plain) for t in tasks}
    trace_seconds = time.perf_counter() - began
    guarded_traces = {t.source: gold_trace(t, guarded) for t in tasks}

    def ours(env: Environment, traces: dict[str, GoldTrace]) -> None:
        episodes = [(t, [turn.ground_truth for turn in t.turns], traces[t.source]) for t in tasks]
        for first in range(0, len(episodes), BATCH):
            for row in score_many(episodes[first : first + BATCH], env):
                assert all(verdict.passed for verdict in row.verdicts)

    def theirs() -> None:
        for task in tasks:
            assert official.verdict(task.source, gold[task.source])

    specs = tool_specs()

    def simulators() -> None:
        for task in tasks:
            made = {}
            for name in task.classes:
                made[name] = simulator(name)()
                if name not in STATELESS:
                    start = deep_copy(task.start.get(name, {}))
                    made[name]._load_scenario(start, long_context="long_context" in task.source)
            for call in task.calls:
                owner = specs[call.name].owner
                fresh = copy.deepcopy(mutable_defaults(owner, call.name))
                getattr(made[owner], call.name)(**{**fresh, **copy.deepcopy(call.arguments)})

    work: dict[str, Callable[[], None]] = {
        "official": theirs,
        "trusted": lambda: ours(plain, traces),
        "guarded": lambda: ours(guarded, guarded_traces),
        "simulators": simulators,
    }
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(args.repeats):
        for name, run in work.items():
            official.clean()
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    middle = {name: median(found) for name, found in seconds.items()}
    for name, value in middle.items():
        print(f"{name}: {len(tasks) / value:.0f} episodes/s (median of {args.repeats})")
    print(f"ground-truth traces, once: {trace_seconds:.2f} s")
    print(f"simulators' own share of trusted: {middle['simulators'] / middle['trusted']:.0%}")
    ratios = {n: middle["official"] / middle[n] for n in ("trusted", "guarded")}
    if args.out:
        made = {"seconds": seconds, "trace_seconds": trace_seconds, "ratios": ratios}
        args.out.write_text(json.dumps(made, indent=1) + "\n")
    for name, ratio in ratios.items():
        print(f"{name}/official {ratio:.2f}")


if __name__ == "__main__":
    main()
