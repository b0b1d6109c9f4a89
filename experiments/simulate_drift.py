"""How the groups of variants, of their variants and so on end, by boundary rule.

    python experiments/simulate_drift.py

Twice the budget of the preset `simulate`; counted are the groups of its last tenth. Writes
`benchmarks/results/simulate_drift.json`: rule -> generation -> share of groups by cause.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from rods.simulate.simulation import Simulation
from rods.simulate.study import plan

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results" / "simulate_drift.json"
STEPS, LAST = 480, 48
DEEPEST = 6  # generations from this one on are counted together


def causes(rule: str, seeds: int) -> dict[int, Counter[str]]:
    """Groups of the last steps by generation (0: a seed) and by signal or cause."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    study = plan("simulate", [f"boundary.rule={rule}"], arms=["rods"], steps=STEPS, seeds=seeds)
    (setup,) = study.setups
    for seed in study.seeds:
        config = setup.config.model_copy(update={"seed": seed})
        with tempfile.TemporaryDirectory() as folder:
            simulation = Simulation(config, setup.settings, Path(folder), study.window)
            simulation.run(study.trajectories)
            tasks, groups = simulation.store.tasks(), simulation.store.groups()
            simulation.store.close()
        generation: dict[str, int] = {}
        for task in tasks.values():  # as they came, so parents are first
            generation[task.id] = generation[task.parent] + 1 if task.parent else 0
        for group in groups:
            if group.step > STEPS - LAST:
                found[min(generation[group.task_id], DEEPEST)][str(group.signal)] += 1
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    told = {}
    for rule in ("mean", "posterior"):
        told[rule] = {
            generation: {"groups": n.total()}
            | {cause: round(k / n.total(), 4) for cause, k in n.items()}
            for generation, n in sorted(causes(rule, seeds).items())
        }
        for generation, shares in told[rule].items():
            print(rule, generation, shares)
    RESULTS.write_text(json.dumps({"seeds": seeds, "rules": told}, indent=1) + "\n")


if __name__ == "__main__":
    main()
