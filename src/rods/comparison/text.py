"""A comparison as cells of tables, and as notes: for a terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rods.comparison.result import Size

ARMS = ("arm", "seeds", "complete", "95 %", "progress", "95 %")
COSTS = ("arm", "signal", "tasks", "trajectories", "tokens", "minutes")
CONTRASTS = ("difference", "seeds", "complete", "95 %", "progress", "95 %")
STRUCTURE = ("arm or difference", "complete", "95 %", "progress", "95 %")
SIZES = ("arm", "category", "seed tasks", "turns", "calls", "variants", "turns", "calls")
ZONES = ("arm", "zone", "groups", "variance of the outcomes")
RETIRED = ("arm", "reason", "variants")
FORECASTS = (
    "arm",
    "forecast signal",
    "first groups",
    "forecast",
    "signal",
    "forecast mean",
    "mean",
)
READ = (
    "Complete: share of held-out episodes with every turn passed; progress: mean share of turns"
    " passed; both after training, as the mean of the categories."
)
READ_COSTS = (
    "Signal: share of the first groups of generated tasks whose rewards differ. Tasks: different"
    " training tasks that were played. Minutes: of the training steps. All are means over seeds."
)
READ_CONTRASTS = (
    "The first arm minus the second, paired by seed and task. An interval that includes 0 does not"
    " tell the two apart."
)
Row = list[str]


def arm_rows(found: Mapping[str, Any]) -> list[Row]:
    """The cells of `ARMS`, a row for each arm."""
    return [
        [
            name,
            str(arm["seeds"]),
            *_estimate(arm["complete"], ""),
            *_estimate(arm["progress"], ""),
        ]
        for name, arm in found["arms"].items()
    ]


def cost_rows(found: Mapping[str, Any]) -> list[Row]:
    """The cells of `COSTS`, a row for each arm."""
    return [
        [
            name,
            _share(arm["variants"]["signal"]),
            f"{arm['tasks']:,.0f}",
            f"{arm['trajectories']:,.0f}" + "*" * arm["unequal_budget"],
            f"{arm['generated_tokens']:,.0f}",
            f"{arm['wall_s'] / 60:,.1f}",
        ]
        for name, arm in found["arms"].items()
    ]


def contrast_rows(found: Mapping[str, Any]) -> list[Row]:
    """The cells of `CONTRASTS`, a row for each difference."""
    return [
        [
            f"{one['arm']} - {one['minus']}",
            str(one["seeds"]),
            *_estimate(one["complete"], "+"),
            *_estimate(one["progress"], "+"),
        ]
        for one in found["contrasts"].values()
    ]


def structure_rows(found: Mapping[str, Any]) -> list[Row]:
    """The cells of `STRUCTURE`: arms and differences on new combinations of tools, if measured."""
    arms = [(name, arm["structure"], "") for name, arm in found["arms"].items()]
    pairs = [
        (f"{one['arm']} - {one['minus']}", one.get("structure"), "+")
        for one in found["contrasts"].values()
    ]
    return [
        [name, *_estimate(one["complete"], sign), *_estimate(one["progress"], sign)]
        for name, one, sign in (*arms, *pairs)
        if one
    ]


def size_rows(arm: str, seeds: Mapping[str, Size], variants: Mapping[str, Size]) -> list[Row]:
    """The cells of `SIZES` of one run, a row for each category."""
    return [
        [arm, name, *_size(seeds.get(name)), *_size(variants.get(name))]
        for name in sorted({*seeds, *variants})
    ]


def zone_rows(found: Mapping[str, Any]) -> list[Row]:
    """The cells of `ZONES`, a row for each zone of each arm."""
    return [
        [name, zone, f"{one['groups']:,}", f"{one['variance']:.4f}"]
        for name, arm in found["arms"].items()
        for zone, one in arm["zones"].items()
    ]


def retired_rows(found: Mapping[str, Any]) -> list[Row]:
    """The cells of `RETIRED`, a row for each reason of each arm; means over seeds."""
    return [
        [name, reason, f"{count:,.1f}"]
        for name, arm in found["arms"].items()
        for reason, count in arm["retired"].items()
    ]


def forecast_rows(found: Mapping[str, Any]) -> list[Row]:
    """The cells of `FORECASTS`, a row for each bin of each arm, all seeds together."""
    return [
        [
            name,
            f"{one['least']:.1f} or more",
            f"{one['groups']:,}",
            _share(one["expected_signal"]),
            _share(one["signal"]),
            f"{one['expected_mean']:.2f}",
            f"{one['mean']:.2f}",
        ]
        for name, arm in found["arms"].items()
        for one in arm["forecasts"]
    ]


def notes(found: Mapping[str, Any]) -> Iterator[str]:
    """What a reader of the tables must know, a line each."""
    arms: Mapping[str, Any] = found["arms"]
    if found["side"] == "validation":
        yield "The test side was not measured: these are results on the validation side."
    if single := [name for name, arm in arms.items() if arm["seeds"] == 1]:
        yield f"One random seed ({', '.join(single)}): the intervals cover tasks only, not seeds."
    if unequal := [name for name, arm in arms.items() if arm["unequal_budget"]]:
        yield f"* Unequal budget: the trajectories of {', '.join(unequal)} differ from static's."
    if len(found["versions"]) > 1:
        yield f"The runs are of several versions of rods: {', '.join(found['versions'])}."
    for name, arm in arms.items():
        if goal := arm["reaches"]:
            after = goal["trajectories"]
            told = "not reached" if after is None else f"reached after {after:,} trajectories"
            end = f"{goal['complete']:.3f} complete on the validation side"
            yield f"{name}: the end of {goal['arm']} ({end}) is {told}."
        if (way := arm["way_to_fresh"]) and way["complete"] is not None:
            yield f"{name}: {way['complete']:.0%} of the way from static to fresh in complete."


def _estimate(found: Mapping[str, Any] | None, sign: str) -> tuple[str, str]:
    """The mean and its interval."""
    if found is None:
        return "-", "-"
    mean, low, high = (found[key] for key in ("mean", "low", "high"))
    bounds = "-" if low is None else f"[{low:{sign}.3f}, {high:{sign}.3f}]"
    return f"{mean:{sign}.3f}", bounds


def _size(found: Size | None) -> tuple[str, str, str]:
    """The tasks, and their mean numbers of turns and calls."""
    if found is None:
        return "0", "-", "-"
    return f"{found.tasks:,}", f"{found.turns:.1f}", f"{found.calls:.1f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
