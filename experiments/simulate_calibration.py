"""The simulated learner beside what was measured: what was fitted, and what was not.

    python experiments/simulate_calibration.py

Writes `benchmarks/results/simulate_calibration.json` and prints the tables of docs/simulate.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rods.envs.bfcl_data import CATEGORIES
from rods.simulate.learner import chances, complete
from rods.simulate.simulation import Simulation
from rods.simulate.study import Setup, Study, plan
from rods.simulate.summary import Row, estimate, summarise

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results" / "simulate_calibration.json"
SMALL = ("rollout.group_size=8", "boundary.cooldown=8", "learner.headroom=3.3")
SMALL += tuple(f"world.harder.{name}=0" for name in CATEGORIES)
FEW = (*SMALL, "pool.seeds=48", "pool.p_max=48", "rollout.tasks_per_step=24")
FEW += ("world.level=-0.25", "learner.rate=0.35")
MANY = (*SMALL, "pool.seeds=128", "pool.p_max=128", "rollout.tasks_per_step=16")
MANY += ("world.level=1.95", "learner.rate=0.14", "learner.item_rate=5")
# Measured with a policy of 0.5 million parameters on the benchmark's simulators, one seed an arm:
# (groups with signal, solved groups, training reward, held-out progress) at the end; None where it
# was not noted.
MEASURED: dict[str, tuple[float | None, ...]] = {
    "48 seeds, static": (0.17, None, 0.88, 0.539),
    "48 seeds, fresh": (0.67, None, None, 0.637),
    "48 seeds, rods by mean": (0.275, None, None, 0.559),
    "48 seeds, rods by variance": (0.45, None, None, 0.576),
    "128 seeds, static": (0.30, 0.60, 0.87, 0.656),
    "128 seeds, fresh": (None, None, None, 0.674),
}
RUNS: dict[str, tuple[tuple[str, ...], str, int]] = {
    "48 seeds, static": (FEW, "static", 120),
    "48 seeds, fresh": (FEW, "fresh", 90),
    "48 seeds, rods by mean": (FEW, "rods", 120),
    "48 seeds, rods by variance": ((*FEW, "boundary.rule=variance"), "rods", 120),
    "128 seeds, static": (MANY, "static", 117),
    "128 seeds, fresh": (MANY, "fresh", 117),
}
# Complete held-out tasks of Qwen3-4B, percent: base, miss_func, miss_param, long_context, overall.
PAPER = {
    "base": (26.5, 21.0, 15.5, 25.5, 22.13),
    "static": (62.0, 51.0, 35.0, 52.0, 50.00),
    "rods": (68.0, 59.0, 44.0, 53.0, 56.00),
}
ABLATIONS: dict[str, tuple[float | None, list[str]]] = {
    "rods": (56.00, []),
    "random seeds": (51.25, ["boundary.rule=random"]),
    "binary reward": (52.75, ["stages=[{reward: binary}]"]),
    "no retirement": (52.62, ["pool.burn_in=0", "pool.hard=0", "pool.mastered=1"]),
    "P_max 50": (None, ["pool.p_max=50"]),
    "P_max 200": (None, ["pool.p_max=200"]),
}
COLUMNS = ("signal", "solved", "reward", "progress")


def small_policy(seeds: int) -> list[dict[str, Any]]:
    """The end of each run that was measured with a small policy, simulated."""
    found = []
    for name, (overrides, arm, steps) in RUNS.items():
        row = _row(plan("simulate", overrides, arms=[arm], steps=steps, seeds=seeds))
        told = dict(zip(COLUMNS, MEASURED[name], strict=True))
        ends = {c: estimate(row.final[c])._asdict() for c in (*COLUMNS, "constant", "signal_first")}
        found.append({"run": name, "measured": told, "simulated": ends})
    return found


def by_category(seeds: int) -> dict[str, list[float]]:
    """Complete held-out tasks in percent, by category and overall, means over seeds."""
    static, rods = plan("simulate", seeds=seeds).setups
    before = [_completed(static, seed, 0) for seed in range(seeds)]
    ends = {
        setup.name: [_completed(setup, seed, setup.config.steps) for seed in range(seeds)]
        for setup in (static, rods)
    }
    return {name: _means(values) for name, values in {"base": before, **ends}.items()}


def ablations(seeds: int) -> list[dict[str, Any]]:
    """The paper's ablations: complete held-out tasks in percent, beside the paper's figure."""
    found = []
    for name, (paper, overrides) in ABLATIONS.items():
        row = _row(plan("simulate", overrides, arms=["rods"], seeds=seeds))
        whole = estimate([100 * value for value in row.final["complete"]])
        found.append({"run": name, "paper": paper, "simulated": whole._asdict()})
    return found


def _row(study: Study) -> Row:
    return summarise([*study.run()])[0]


def _completed(setup: Setup, seed: int, steps: int) -> list[float]:
    config = setup.config.model_copy(update={"seed": seed})
    step = config.rollout.group_size * config.rollout.tasks_per_step
    with tempfile.TemporaryDirectory() as folder:
        simulation = Simulation(config, setup.settings, Path(folder), steps * step or step)
        simulation.run(steps * step)
        simulation.store.close()
    rows = simulation.world.heldout
    whole = 100 * complete(chances(simulation.learner.ability, rows), rows["turns"])
    parts = [whole[rows["category"] == place] for place in range(len(CATEGORIES))]
    return [*(float(part.mean()) for part in parts), float(whole.mean())]


def _means(rows: Sequence[Sequence[float]]) -> list[float]:
    return [round(sum(column) / len(rows), 2) for column in zip(*rows, strict=True)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    told = {
        "seeds": seeds,
        "small policy": small_policy(seeds),
        "complete by category": {"paper": PAPER, "simulated": by_category(seeds)},
        "ablations": ablations(seeds),
    }
    RESULTS.write_text(json.dumps(told, indent=1) + "\n")
    print("| run | signal | solved | reward | progress | constant |")
    for item in told["small policy"]:
        cells = [
            f"{item['simulated'][c]['mean']:.3f} ({item['measured'].get(c)})"
            for c in (*COLUMNS, "constant")
        ]
        print(f"| {item['run']} | {' | '.join(cells)} |")
    for name, values in told["complete by category"]["simulated"].items():
        print(f"| {name} | {values} | {PAPER[name]} |")
    for item in told["ablations"]:
        print(f"| {item['run']} | {item['paper']} | {item['simulated']} |")


if __name__ == "__main__":
    main()
