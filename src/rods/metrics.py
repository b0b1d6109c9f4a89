"""`metrics.jsonl` (a line a step) and `summary.json` of a run."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from rods.config import Config
from rods.curriculum.boundary import Thresholds, Zone
from rods.group import Group, signal_share
from rods.loop import Loop
from rods.output import Output
from rods.rollout.episode import Ending
from rods.rollout.rollout import Rollout, scored
from rods.store.account import Account
from rods.store.store import Store

MOST_FAILURES = 5  # tasks a step whose failures are listed
SUMMARY = "summary.json"  # of a run that is finished


def step_metrics(
    loop: Loop,
    step: int,
    rollouts: Sequence[Rollout],
    logs: dict[str, float],
    seconds: float,
    gave_up: str = "",
) -> dict[str, Any]:
    """One line of `metrics.jsonl`: everything is about the groups of this step.

    Args:
        gave_up: why no variants are made any more, or "".
    """
    errors = loop.queue.errors()
    groups = loop.latest
    limits = Thresholds(loop.config.boundary.low, loop.config.boundary.high)
    whole, measured = [g for g in groups if g.complete], scored(rollouts)
    zones = {z.value: [g for g in whole if limits.zone(g.mean) is z] for z in Zone}
    return {
        "step": step,
        "epoch": groups[0].epoch,
        "stage": loop.config.stage(groups[0].epoch).reward,
        "progress": fmean(r.progress for r in measured) if measured else None,
        "complete": fmean(r.complete for r in measured) if measured else None,
        "signal": signal_share(groups),
        "signals": dict(Counter(g.signal.value for g in groups)),
        "zones": {name: len(found) for name, found in zones.items()},
        "variance": {n: fmean(g.variance for g in f) for n, f in zones.items() if f},
        **loop.curriculum.metrics(),
        "synthesis": {"errors": errors.jobs if errors else 0, "gave_up": gave_up},
        "endings": dict(Counter(r.ending.value for r in rollouts)),
        "failures": _failures(rollouts),
        "refusals": dict(sum((Counter(r.refusals) for r in rollouts), Counter())),
        "trajectories": len(rollouts),
        "generated_tokens": sum(r.generated for r in rollouts),
        "loss": logs.get("loss"),
        "grad_norm": logs.get("grad_norm"),
        "seconds": round(seconds, 3),
    }


def _failures(rollouts: Sequence[Rollout]) -> dict[str, str]:
    """Why the environment lost rollouts, by task; of a few tasks."""
    return dict(islice({r.task_id: r.failure for r in rollouts if r.lost}.items(), MOST_FAILURES))


def summarise(
    config: Config, store: Store, lines: Sequence[dict[str, Any]], gave_up: str = ""
) -> dict[str, Any]:
    """The content of `summary.json`.

    Args:
        gave_up: why no variants were made any more, or "".
    """
    account = Account.of(store)
    test: dict[int, dict[str, dict[str, float]]] = defaultdict(dict)
    for row in store.evaluations():
        if row.side == "test":
            test[row.step][row.category] = {"complete": row.complete, "progress": row.progress}
    events = store.events()
    last = lines[-1]["pool"] if lines else {"active": 0, "seeds": 0, "generated": 0}
    by_epoch: dict[int, list[Group]] = defaultdict(list)
    for group in store.groups():
        by_epoch[group.epoch].append(group)
    return {
        "arm": config.arm,
        "seed": config.seed,
        "preset": config.preset,
        "notice": store.meta("notice") or "",
        "epochs": len(by_epoch),
        "steps": len(lines),
        "trajectories": sum(line["trajectories"] for line in lines),
        "lost": sum(line["endings"].get(Ending.ENVIRONMENT_FAILURE.value, 0) for line in lines),
        "generated_tokens": sum(line["generated_tokens"] for line in lines),
        "wall_s": round(sum(line["seconds"] for line in lines), 1),
        "jobs": store.queue.outcomes(),
        "synthesis_s": round(store.queue.seconds(), 1),
        "synthesis": {**account.summary(), "gave_up": gave_up},
        "heldout": {
            "before": test.get(0, {}),
            "after": test.get(config.steps, {}),
        },
        "pool": {
            **last,
            "injected": sum(e.kind == "injected" for e in events),
            "rested": sum(e.kind == "rested" for e in events),
            "forgotten": sum(e.reason == "forgotten" for e in events),
            "retired": dict(Counter(e.reason for e in events if e.kind == "retired")),
        },
        "signal": [round(signal_share(groups), 4) for _, groups in sorted(by_epoch.items())],
        "causes": [
            dict(Counter(g.signal.value for g in groups)) for _, groups in sorted(by_epoch.items())
        ],
    }


class MetricsFile:
    """`metrics.jsonl`, for people and programs that follow a run; the store has the same lines."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.path, self.lines = folder / "metrics.jsonl", store.metrics()
        Output(self.path).write(json.dumps(line) + "\n" for line in self.lines)

    def append(self, line: dict[str, Any]) -> None:
        """Call it when the line is in the store."""
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
