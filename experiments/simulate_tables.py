"""The tables of docs/simulate.md beyond calibration: depletion, sweeps, rules, sensitivity.

    python experiments/simulate_tables.py

Writes `benchmarks/results/simulate_*.json`, without the curves where only ends are compared, and
prints the tables. The commands in docs/simulate.md make each of them alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rods.simulate.study import Study, plan
from rods.simulate.summary import HEADER, as_json, cells, summarise

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
RULES = "boundary.rule=mean,variance,posterior,random"
TWO = "boundary.rule=mean,posterior"
CHANGES = (  # one constant or setting of the loop that is another
    *("", "world.level=-2", "world.level=2", "learner.headroom=4", "learner.headroom=8"),
    *("learner.item_rate=4", "learner.item_rate=30", "variants.replaced=0", "variants.jitter=1"),
    *("variants.success=0.5", "variants.latency=1", "rollout.group_size=8", "pool.seeds=100"),
    *("boundary.quota=1", "steps=720"),
)


def study(name: str, found: Study, *, curves: bool = False) -> dict[str, Any]:
    """Run a study, keep what came of it, and print its table."""
    rows = summarise([*found.run()])
    told = as_json(rows, found)
    print(f"\n{name}, {found.trajectories:,} trajectories, {len(found.seeds)} seeds\n")
    print("\n".join(f"| {' | '.join(row)} |" for row in (HEADER, *cells(rows))))
    if not curves:
        for configuration in told["configurations"]:
            del configuration["curve"]
    return told


def depletion(told: dict[str, Any]) -> None:
    """Print the share of groups with signal after each pass."""
    print("\n| pass | " + " | ".join(c["name"] for c in told["configurations"]) + " |")
    columns = [c["curve"]["signal"] for c in told["configurations"]]
    for place, found in enumerate(zip(*columns, strict=True)):
        if place:
            shares = [f"{e['mean']:.3f} ± {e['high'] - e['mean']:.3f}" for e in found]
            print(f"| {place} | {' | '.join(shares)} |")


def sensitivity(seeds: int) -> list[dict[str, Any]]:
    """Differences in tasks mastered under one changed constant at a time, paired by seed."""
    found = []
    print("\n| changed | rods - static | posterior - mean | variance - mean | random - mean |")
    for change in CHANGES:
        overrides = [change] if change else []
        arms = plan("simulate", overrides, seeds=seeds)
        rules = plan("simulate", overrides, [RULES], seeds=seeds)
        refreshed = summarise([*arms.run()])[1].differences["mastered"]
        by_rule = {row.name: row.differences for row in summarise([*rules.run()])}
        told = {"rods - static": refreshed}
        for rule in ("posterior", "variance", "random"):
            told[f"{rule} - mean"] = by_rule[f"rule={rule}"]["mastered"]
        shown = [f"{e.mean:+.0f} ± {e.high - e.mean:.0f}" for e in told.values()]
        print(f"| {change or '-'} | {' | '.join(shown)} |", flush=True)
        found.append({"changed": change} | {name: e._asdict() for name, e in told.items()})
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    arms = plan("simulate", arms=["static", "rods", "fresh"], seeds=seeds)
    moving = plan("simulate", ["boundary.rule=posterior"], seeds=seeds)
    amounts = ["pool.beta=0.05,0.1,0.2,0.4", "pool.p_max=50,100,200,400"]
    told = {
        "depletion": study("Arms", arms, curves=True),
        "depletion_posterior": study("Arms, posterior rule", moving, curves=True),
        "beta_p_max": study("beta x P_max", plan("simulate", (), amounts, seeds=seeds)),
        "rules": study("Rules", plan("simulate", (), [RULES], seeds=seeds)),
        "long": study(
            "Three times the budget", plan("simulate", (), [TWO], steps=720, seeds=seeds)
        ),
    }
    depletion(told["depletion"])
    depletion(told["depletion_posterior"])
    told["sensitivity"] = {"seeds": seeds, "changes": sensitivity(seeds)}
    for name, found in told.items():
        path = RESULTS / f"simulate_{name}.json"
        path.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
