"""How much of a gain is learning, and how much is becoming surer: runs measured at temperature 0.

    python experiments/greedy.py runs/static-0 runs/fresh-0 --out experiments/results/greedy.json

Plays the validation tasks of finished runs of the micro policy with the base and with the last
checkpoint of each, always with the likeliest token. Beside it stands what the run itself measured
at its own temperature. The test side is not read.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

from rods.config import Config
from rods.evaluate import evaluate
from rods.policies.registry import kind_of
from rods.policies.tasks import TaskSides, with_spare
from rods.store.measures import VALIDATION
from rods.store.schema import TaskMeasurement
from rods.store.store import Store
from rods.trainers.checkpoints import checkpoint_step, latest_checkpoint
from rods.training_runner import training_runner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    found = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    for run in asked.runs:
        if run.name not in found:
            found[run.name] = measured(run)
            asked.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        line = found[run.name]
        print(run.name, *(f"{each}: {figures(line[each])}" for each in ("before", "after")))


def measured(run: Path) -> dict[str, Any]:
    """The figures of a run before and after training, greedy and as it measured itself."""
    store = Store(run, role="reader")
    stored = store.meta("config")
    config = Config.model_validate({k: v for k, v in stored.items() if k in Config.model_fields})
    checkpoint = latest_checkpoint(run)
    step = checkpoint_step(checkpoint)
    own = {at: store.measures.of_tasks(VALIDATION, at) for at in (0, step)}
    store.close()
    kind = kind_of(config.policy.name)
    tasks = kind.tasks(config, lambda *_: None)
    if config.evaluation.spare:
        tasks = with_spare(config, tasks)
    return {
        "arm": config.arm,
        "seed": config.seed,
        "seeds": config.pool.seeds,
        "learning_rate": config.optimizer.learning_rate,
        "steps": step,
        "before": {"greedy": greedy(config, tasks, None), "own": summary(own[0])},
        "after": {"greedy": greedy(config, tasks, checkpoint), "own": summary(own[step])},
    }


def greedy(config: Config, tasks: TaskSides, checkpoint: Path | None) -> dict[str, Any]:
    """The validation side with the likeliest tokens; None: the policy before training."""
    policy = kind_of(config.policy.name).load(config, tasks, checkpoint, lambda *_: None)
    runner = training_runner(config, tasks.environment, policy.renderer)
    found = evaluate(
        runner,
        tasks.sides[VALIDATION],
        policy.seeded(config.seed, 0),
        samples=1,
        temperature=0.0,
        rows=config.rollout.at_once,
        step=0,
        side=VALIDATION,
    )
    return summary(found)


def summary(rows: list[TaskMeasurement]) -> dict[str, Any]:
    """Means over the tasks, and complete ones of each category; {} for a step without rows."""
    if not rows:
        return {}
    by_category: dict[str, list[TaskMeasurement]] = {}
    for row in rows:
        by_category.setdefault(row.category, []).append(row)
    return {
        "tasks": len(rows),
        "complete": round(fmean(row.complete for row in rows), 4),
        "progress": round(fmean(row.progress for row in rows), 4),
        "categories": {
            name: round(fmean(row.complete for row in some), 4)
            for name, some in sorted(by_category.items())
        },
    }


def figures(line: dict[str, Any]) -> str:
    shown = (f"{name} {row['complete']:.1%}" for name, row in line.items() if row)
    return ", ".join(shown)


if __name__ == "__main__":
    main()
