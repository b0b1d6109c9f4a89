"""What a comparison shows: each arm's held-out results, and the differences between arms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from rods.comparison.bootstrap import Values, interval
from rods.comparison.calibration import joined
from rods.comparison.curves import first_reaching, mean_curve
from rods.comparison.result import HeldOutTasks, RunResult, rounded
from rods.evaluation.table import COMPLETE, PROGRESS

STATIC, FRESH, LARGE, OWN = "static", "fresh", "offline-17k", "rods"
COLUMNS = {PROGRESS: 0, COMPLETE: 1}  # places in a task's result
UNEQUAL = 0.01  # relative difference of trajectories from static's that is flagged
MEANS = ("trajectories", "tasks", "generated_tokens", "wall_s", "synthesis_s", "steps", "epochs")
Arms = dict[str, list[RunResult]]


def analyse(results: Sequence[RunResult]) -> dict[str, Any]:
    """The comparison of alike results as plain data; their order does not matter.

    Args:
        results: at least one; see `rods.comparison.folder.check_alike`.
    """
    arms = by_arm(results)
    target = next((name for name in (LARGE, FRESH) if name in arms), None)
    found: dict[str, Any] = rounded(
        {
            "preset": results[0].preset,
            "side": results[0].side,
            "versions": sorted({result.rods for result in results}),
            "arms": {name: _arm(name, arms, target) for name in arms},
            "contrasts": {
                f"{one}-{other}": one_minus_other
                for one, other in pairs(arms)
                if (one_minus_other := contrast(arms[one], arms[other]))
            },
        }
    )
    return found


def by_arm(results: Sequence[RunResult]) -> Arms:
    """The results of each arm by seed; static comes first, then the others by name."""
    found: Arms = {}
    for result in sorted(results, key=lambda r: (r.arm != STATIC, r.arm, r.seed)):
        found.setdefault(result.arm, []).append(result)
    return found


def pairs(arms: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The arms whose difference is shown: each minus static, and those of ours minus each other."""
    for one in arms:
        if one != STATIC and STATIC in arms:
            yield one, STATIC
    for one in arms:
        for other in arms:
            if one.startswith(OWN) and other not in (one, STATIC):
                yield one, other


def contrast(one: Sequence[RunResult], other: Sequence[RunResult]) -> dict[str, Any] | None:
    """The first arm minus the second, paired by seed and task.

    Returns:
        None if they have no seed in common, or in a category no task.
    """
    left, right = _paired(one, other)
    found = _differences([run.test for run in left], [run.test for run in right])
    if found is None:
        return None
    structures = [run.structure for run in (*left, *right)]
    more = [held for held in structures if held is not None]
    if len(more) == len(structures):
        found["structure"] = _differences(more[: len(left)], more[len(left) :])
    named = {"arm": left[0].arm, "minus": right[0].arm, "seeds": len(left)}
    return {**named, **found[COMPLETE], **found}


def _differences(
    left: Sequence[HeldOutTasks], right: Sequence[HeldOutTasks]
) -> dict[str, Any] | None:
    """The first minus the second, paired by place and task; None without common tasks."""
    tasks = _common([*left, *right])
    if not tasks:
        return None
    found: dict[str, Any] = {"tasks": sum(map(len, tasks.values()))}
    for column, place in COLUMNS.items():
        ours, theirs = _values(left, tasks, place), _values(right, tasks, place)
        found[column] = interval({name: ours[name] - theirs[name] for name in tasks})._asdict()
    return found


def _levels(held: Sequence[HeldOutTasks]) -> dict[str, Any]:
    """Means with intervals after training, and how many tasks they are of."""
    tasks = _common(held)
    found: dict[str, Any] = {"held_out_tasks": sum(map(len, tasks.values()))}
    for column, place in COLUMNS.items():
        found[column] = interval(_values(held, tasks, place))._asdict() if tasks else None
    return found


def _arm(name: str, arms: Arms, target: str | None) -> dict[str, Any]:
    runs = arms[name]
    found: dict[str, Any] = {"seeds": len(runs), "settings": list(runs[0].settings)}
    found |= _levels([run.test for run in runs])
    structures = [run.structure for run in runs if run.structure is not None]
    found["structure"] = _levels(structures) if len(structures) == len(runs) else None
    before = [run.before for run in runs if run.before is not None]
    for column, place in COLUMNS.items():
        found[f"{column}_before"] = fmean(b[place] for b in before) if before else None
    found |= {column: _mean(getattr(run, column) for run in runs) for column in MEANS}
    return found | {
        "variants": _variants(runs),
        "zones": _zones(runs),
        "retired": _counts([run.retired for run in runs]),
        "forecasts": [one.model_dump() for one in joined([run.forecasts for run in runs])],
        "unequal_budget": _unequal(runs, arms.get(STATIC)),
        "reaches": _reaches(name, arms, target),
        "way_to_fresh": _way(name, arms),
    }


def _values(
    held: Sequence[HeldOutTasks], tasks: Mapping[str, Sequence[str]], place: int
) -> dict[str, Values]:
    """Category -> results of its tasks after training, shape [seeds, tasks]."""
    return {
        name: np.array([[one.tasks[task][place] for task in ids] for one in held], dtype=np.float64)
        for name, ids in tasks.items()
    }


def _common(held: Sequence[HeldOutTasks]) -> dict[str, list[str]]:
    """Category -> the tasks that all have, sorted; {} if there are none in a category."""
    if not held:
        return {}
    categories = sorted({name for one in held for name in one.categories})
    found = {
        name: sorted(set.intersection(*(set(one.categories.get(name, ())) for one in held)))
        for name in categories
    }
    return found if all(found.values()) else {}


def _paired(
    one: Sequence[RunResult], other: Sequence[RunResult]
) -> tuple[list[RunResult], list[RunResult]]:
    """The runs of both arms with the seeds that both have, by seed."""
    left, right = ({run.seed: run for run in runs} for runs in (one, other))
    seeds = sorted(left.keys() & right.keys())
    return [left[seed] for seed in seeds], [right[seed] for seed in seeds]


def _mean(values: Iterator[float]) -> float:
    """The mean; a whole number if all values are equal whole numbers."""
    found = list(values)
    return found[0] if len(set(found)) == 1 else fmean(found)


def _unequal(runs: Sequence[RunResult], static: Sequence[RunResult] | None) -> bool:
    if static is None:
        return False
    usual = fmean(run.trajectories for run in static)
    return abs(fmean(run.trajectories for run in runs) - usual) > UNEQUAL * usual


def _variants(runs: Sequence[RunResult]) -> dict[str, Any]:
    """The variants' first groups: means over the seeds that have some."""
    whole = [run.variants.all for run in runs]
    found: dict[str, Any] = {"groups": _mean(one.groups for one in whole)}
    for name in ("mean", "signal", "in_zone"):
        values = [value for one in whole if (value := getattr(one, name)) is not None]
        found[name] = fmean(values) if values else None
    return found


def _zones(runs: Sequence[RunResult]) -> dict[str, Any]:
    """By zone: the groups, and the mean variance of their outcomes, of all seeds together."""
    found = {}
    for zone in sorted({name for run in runs for name in run.zones}):
        some = [run.zones[zone] for run in runs if zone in run.zones]
        groups = sum(one.groups for one in some)
        variance = sum(one.groups * one.variance for one in some) / groups
        found[zone] = {"groups": groups, "variance": variance}
    return found


def _counts(found: Sequence[Mapping[str, int]]) -> dict[str, float]:
    """The mean over seeds of each count; a name that a seed lacks counts 0."""
    names = sorted({name for counts in found for name in counts})
    return {name: fmean(counts.get(name, 0) for counts in found) for name in names}


def _reaches(name: str, arms: Arms, target: str | None) -> dict[str, Any] | None:
    """Trajectories after which an arm's validation curve reaches the end of another arm's."""
    if target is None or name == target:
        return None
    ends = [run.curve[-1].complete for run in arms[target] if run.curve]
    if not ends:
        return None
    wanted = fmean(ends)
    reached = first_reaching(mean_curve(arms[name], COMPLETE), wanted)
    return {"arm": target, COMPLETE: wanted, "trajectories": reached}


def _way(name: str, arms: Arms) -> dict[str, float | None] | None:
    """(arm - static) / (fresh - static), on the seeds that all three have."""
    if name in (STATIC, FRESH) or not {STATIC, FRESH} <= arms.keys():
        return None
    seeds = set.intersection(*({run.seed for run in arms[n]} for n in (name, STATIC, FRESH)))
    own, static, fresh = (
        [run for run in arms[n] if run.seed in seeds] for n in (name, STATIC, FRESH)
    )
    ours, theirs = contrast(own, static), contrast(fresh, static)
    if not ours or not theirs:
        return None
    return {
        column: ours[column]["mean"] / theirs[column]["mean"] if theirs[column]["mean"] else None
        for column in COLUMNS
    }
