"""What a run reports: `metrics.jsonl` (a line for each step), `summary.json`, lost rollouts."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from rods.clock import StepTime
from rods.config import Config
from rods.curriculum.boundary import Thresholds, Zone
from rods.errors import UserError
from rods.files.output import Output
from rods.group import Group, signal_share
from rods.loop import Loop
from rods.rollout.episode import Ending
from rods.rollout.rollout import Rollout, scored
from rods.store.account import Account
from rods.store.store import Store
from rods.synthesis.worker import FRESH

MOST_FAILURES = 5  # tasks whose failures are listed for a step
SUMMARY = "summary.json"  # exists once a run is finished
BROKEN = 3  # steps in a row in which the environment lost most rollouts, after which a run ends
REASONS = 5  # distinct causes that are shown
TIMES = ("seconds", "part_seconds", "wall_s", "synthesis_s")
"""Names of the values that are times. Runs of one command differ only in them."""
_TRL_LOGS = ("rods/step", "rods/loss", "rods/grad_norm")  # TRL logs these itself


def step_metrics(
    loop: Loop,
    step: int,
    rollouts: Sequence[Rollout],
    logs: dict[str, float],
    took: StepTime,
    gave_up: str = "",
) -> dict[str, Any]:
    """One line of `metrics.jsonl`, about the groups of this step.

    Args:
        gave_up: why synthesis was given up, or "".
    """
    errors = loop.queue.errors()
    groups = loop.latest
    limits = Thresholds(loop.config.boundary.low, loop.config.boundary.high)
    whole, measured = [g for g in groups if g.complete], scored(rollouts)
    zones = {z.value: [g for g in whole if limits.zone(g.mean) is z] for z in Zone}
    return {
        "step": step,
        "epoch": groups[0].epoch,
        "stage": loop.stage.reward,
        "stage_number": loop.epoch.stage if loop.epoch else 0,
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
        "seconds": round(took.seconds, 3),
        "part_seconds": {name: round(each, 3) for name, each in took.parts.items()},
    }


def tracked(
    line: Mapping[str, Any], funnel: Mapping[str, int], heldout: Mapping[str, float]
) -> dict[str, float]:
    """The values of a line of `metrics.jsonl` in the form that trackers take, by path.

    Args:
        funnel: attempts of synthesis by outcome.
        heldout: the latest measurement of held-out tasks.
    """
    found: dict[str, Any] = {**line, "funnel": funnel, **heldout}
    nested = {name: v if isinstance(v, Mapping) else {"": v} for name, v in found.items()}
    flat = {f"rods/{n}/{k}".rstrip("/"): v for n, each in nested.items() for k, v in each.items()}
    named = {path.replace(" ", "_"): value for path, value in flat.items()}
    return {k: v for k, v in named.items() if isinstance(v, int | float) and k not in _TRL_LOGS}


def untimed(found: Mapping[str, Any]) -> dict[str, Any]:
    """A line of `metrics.jsonl`, a summary or a row of the store without its times."""
    kept = {name: value for name, value in found.items() if name not in TIMES}
    return {name: untimed(v) if isinstance(v, Mapping) else v for name, v in kept.items()}


def _failures(rollouts: Sequence[Rollout]) -> dict[str, str]:
    """Task id -> why the environment lost its rollouts, for at most `MOST_FAILURES` tasks."""
    return dict(islice({r.task_id: r.failure for r in rollouts if r.lost}.items(), MOST_FAILURES))


def summarise(
    config: Config, store: Store, lines: Sequence[dict[str, Any]], gave_up: str = ""
) -> dict[str, Any]:
    """The content of `summary.json`.

    Args:
        gave_up: why synthesis was given up, or "".
    """
    account = Account.of(store)
    test: dict[int, dict[str, dict[str, float]]] = defaultdict(dict)
    for row in store.measures.heldout():
        if row.side == "test":
            test[row.step][row.category] = {"complete": row.complete, "progress": row.progress}
    offline = store.meta("offline") or {"seconds": 0.0, "attempts": {}}
    synthesis_s = store.queue.seconds() + offline["seconds"] + (store.meta(FRESH) or 0.0)
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
        "synthesis_s": round(synthesis_s, 1),
        "synthesis": {**account.summary(), "gave_up": gave_up, "attempts": store.funnel()},
        "offline": offline,
        "heldout": {
            "before": test.get(0, {}),
            "after": test.get(config.steps, {}),
        },
        "pool": {
            **last,
            "largest": max((line["pool"]["active"] for line in lines), default=0),
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
    """`metrics.jsonl`, for people and programs that follow a run. The store has the same lines."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.path, self.lines = folder / "metrics.jsonl", store.measures.metrics()
        Output(self.path).write(json.dumps(line) + "\n" for line in self.lines)

    def append(self, line: dict[str, Any]) -> None:
        """Add a line that is already in the store."""
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class Losses:
    """Lost rollouts: each cause is shown once, and a broken environment ends the run.

    Args:
        folder: of the run.
        name: gives a task's name by its id.
        notice: called with one line for each new cause.
    """

    def __init__(
        self, folder: Path, name: Callable[[str], str], notice: Callable[[str], None]
    ) -> None:
        self._folder, self._name, self._notice = folder, name, notice
        self._reasons: set[str] = set()
        self._broken = 0  # steps in a row

    def observe(self, rollouts: Sequence[Rollout]) -> None:
        """Read the rollouts of a training step.

        Raises:
            UserError: the environment lost most rollouts of `BROKEN` steps in a row.
        """
        lost = [rollout for rollout in rollouts if rollout.lost]
        for rollout in lost:
            self._show(rollout.failure.removeprefix(f"task {self._name(rollout.task_id)}: "))
        self._broken = self._broken + 1 if 2 * len(lost) > len(rollouts) else 0
        if self._broken >= BROKEN:
            message = f"the environment lost most rollouts of {BROKEN} steps in a row"
            way = "fix it, and resume by the same command"
            raise UserError(f"{self._folder}: {message}: {lost[0].failure}; {way}")

    def _show(self, cause: str) -> None:
        if cause in self._reasons or len(self._reasons) >= REASONS:
            return
        self._reasons.add(cause)
        last = "; further causes are in metrics.jsonl only" * (len(self._reasons) == REASONS)
        self._notice(f"the environment lost rollouts, which are not trained on: {cause}{last}")
