"""Compact results that are made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rods.comparison.result import CurvePoint, EpochPoint, RunResult

NOTHING = {"groups": 0}
Measured = Mapping[str, Sequence[float]]


def held_out(complete: Measured) -> dict[str, Any]:
    """Tasks with these shares complete by category, and half of it as progress."""
    tasks = {
        f"{category}{place}": (value / 2, value)
        for category, values in complete.items()
        for place, value in enumerate(values)
    }
    names = {c: tuple(f"{c}{i}" for i in range(len(values))) for c, values in complete.items()}
    return {"tasks": tasks, "categories": names}


def result(arm: str, seed: int, complete: Measured, **changes: Any) -> RunResult:
    """A result whose held-out tasks have these shares complete by category; see `held_out`."""
    data: dict[str, Any] = {
        "arm": arm,
        "seed": seed,
        "preset": "micro",
        "rods": "0.1.0",
        "command": f"rods train --arm {arm} --seed {seed}",
        "settings": (),
        "config": {"arm": arm, "steps": 10, "pool": {"beta": 0.2}},
        "trajectories": 1000,
        "generated_tokens": 5000,
        "steps": 10,
        "epochs": 2,
        "wall_s": 60.0,
        "synthesis_s": 1.5,
        "tasks": 8,
        "side": "test",
        "test": held_out(complete),
        "structure": None,
        "before": (0.1, 0.05),
        "curve": (CurvePoint(0, 0, 0.1, 0.05), CurvePoint(10, 1000, 0.3, 0.2)),
        "by_epoch": (EpochPoint(0, 1, 0, 0.75, 8), EpochPoint(1, 6, 500, 0.5, 14)),
        "zones": {"boundary": {"groups": 4, "variance": 0.1}},
        "variants": {"all": NOTHING, "thirds": (NOTHING, NOTHING, NOTHING)},
        "families": {"counts": (), "seeds": 8},
        "sizes": {"seeds": {"base": {"tasks": 8, "turns": 3.0, "calls": 5.0}}, "variants": {}},
        "forecasts": (),
        "retired": {},
        "attempts": {},
    }
    return RunResult.model_validate(data | changes)


def written(folder: Path, *results: RunResult) -> Path:
    """The folder, with the files of the results in it."""
    folder.mkdir(exist_ok=True)
    for one in results:
        one.write(folder)
    return folder
