"""The tables of RESULTS.md about a comparison, as Markdown, from its compact results.

    python experiments/comparison_tables.py results/comparison

The first ones are of the arms. Complete and progress are of the held-out tasks after training, with
95 % intervals over random seeds and tasks (docs/compare.md).

The last two put the paper's comparative claims beside ours. The paper's figures are points of
BFCL's overall accuracy of Qwen3-4B (arXiv 2606.19047, its tables of results and ablations, known
second-hand); it gives no random seeds and no intervals. Ours are points of complete held-out tasks
of the small policy. So signs can be compared; sizes only roughly. A claim of a difference is
answered:

- "agree": our interval lies wholly on the claimed side of 0;
- "disagree": it lies wholly on the other side, or wholly below a fifth of the claimed difference;
- "cannot tell": anything else, also if an arm was not run.

A claim of equality within a margin: "agree" if the whole interval is above minus the margin,
"disagree" if the whole interval is below it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from rods.comparison.analysis import OWN, STATIC, Arms, analyse, by_arm, contrast
from rods.comparison.curves import ACTIVE, SIGNAL, mean_curve
from rods.comparison.folder import read_results
from rods.comparison.result import Landing, RunResult
from rods.curriculum.boundary import Zone
from rods.errors import UserError
from rods.evaluation.table import COMPLETE, PROGRESS

SMALL = 0.2  # share of a claimed difference below which ours contradicts it
EQUAL = 1.0  # points within which two arms count as equal
LEAST_SEEDS = 2  # for an interval that says something of other random seeds

ARM = (
    *("arm", "seeds", "before", "complete", "minus static", "progress"),
    "complete, new structures",
)
COST = (
    *("arm", "trajectories", "tokens", "tasks played", "in the pool, by thirds of the run"),
    *("groups with signal, by thirds", "minutes", "of synthesis"),
)
WAY = (
    *("arm", "of the way from static to fresh, complete", "progress"),
    *("validation score to reach", "trajectories until then"),
)
VARIANTS = (
    *("arm", "variants played", "mean of the first group", "with signal", "within [0.25, 0.75]"),
    *("signal by thirds of the run", "of the four largest families"),
)
ZONES = ("arm", "variance in the boundary zone", "in the other zones", "ratio")
FORECASTS = ("arm", "first groups", "forecast signal", "signal", "forecast mean", "mean")
RETIRED = ("arm", "variants retired")
CLAIM = ("claim", "difference", "paper", "ours, 95 % interval", "seeds", "")

Row = Sequence[str]


class Claim(NamedTuple):
    """`one` minus `other` is `points` in the paper; None if it gives no number."""

    text: str
    one: str
    other: str
    points: float | None
    equal: bool = False


CLAIMS = (
    Claim("RODS is above GRPO on the seed tasks", "rods", "static", 6.0),
    Claim("RODS is above environment augmentation", "rods", "envtuning", 5.5),
    Claim("RODS equals an offline pipeline of 17,000 tasks", "rods", "offline-17k", -0.5, True),
    Claim("parents at the boundary, not random ones", "rods", "generation-only", 4.75),
    Claim("the progress reward, not complete tasks only", "rods", "rods-binary", 3.25),
    Claim("feedback of failed attempts", "rods", "rods-no-feedback", 2.13),
    Claim("retirement", "rods", "rods-no-retirement", 3.38),
    Claim("a pool that is refreshed, not filled once", "rods", "rods-one-refresh", 2.88),
    Claim("RODS and environment augmentation add up", "rods-envtuning", "rods", None),
    Claim("P_max of 12 % of the seed tasks helps already", "p-max-12", "static", None),
)
"""Claims of the paper (sections 6 and 7, appendix I) that two arms can answer."""

OURS = (
    Claim("new tasks are worth more than choosing among old ones", "rods", "selection-only", None),
    Claim("dynamic sampling is enough", "dapo", "rods", None),
    Claim("RODS is above new tasks of the seed tasks' structures", "rods", "fresh", None),
    Claim("RODS is above an offline pool of 800 tasks", "rods", "offline-800", None),
    Claim("our rule and forecasts are above the paper's rule", "rods", "rods-paper", None),
    Claim("variants with other tools, not other values only", "rods", "rods-renaming", None),
    Claim("forecasts", "rods", "rods-no-forecast", None),
    Claim("the limit for families", "rods", "rods-no-family-share", None),
    Claim("rest of seed tasks without signal", "rods", "rods-no-rest", None),
    Claim("the rule: advantage, not variance", "rods", "rods-variance", None),
    Claim("the rule: advantage, not the posterior", "rods", "rods-posterior", None),
    Claim("more human seed tasks are worth more than synthesis", "fresh-all", "fresh", None),
)
"""Further questions; the paper says nothing of them."""


class Difference(NamedTuple):
    """Ours, in points, and the random seeds that both arms have."""

    mean: float
    low: float
    high: float
    seeds: int


def difference(arms: Arms, claim: Claim) -> Difference | None:
    """None if it was not measured with at least two random seeds."""
    if not {claim.one, claim.other} <= arms.keys():
        return None
    found = contrast(arms[claim.one], arms[claim.other])
    if found is None or found["seeds"] < LEAST_SEEDS:
        return None
    mean, low, high = (100 * found[name] for name in ("mean", "low", "high"))
    return Difference(mean, low, high, found["seeds"])


def answer(claim: Claim, ours: Difference | None) -> str:
    """Agree, disagree or cannot tell; see the module."""
    if ours is None:
        return "cannot tell"
    if claim.equal:
        return "agree" if ours.low > -EQUAL else "disagree" if ours.high < -EQUAL else "cannot tell"
    if ours.low > 0:
        return "agree"
    least = SMALL * claim.points if claim.points else 0.0
    return "disagree" if ours.high < least else "cannot tell"


def claim_rows(arms: Arms, claims: Iterable[Claim]) -> Iterator[Row]:
    """Cells of `CLAIM`."""
    for claim in claims:
        ours = difference(arms, claim)
        paper = "-" if claim.points is None else f"{claim.points:+.2f}"
        told, seeds = "not run", "-"
        if ours:
            told = f"{ours.mean:+.1f} [{ours.low:+.1f}, {ours.high:+.1f}]"
            seeds = str(ours.seeds)
        pair = f"{claim.one} - {claim.other}"
        yield [claim.text, pair, paper, told, seeds, answer(claim, ours)]


def arm_rows(found: Mapping[str, Any]) -> Iterator[Row]:
    """Cells of `ARM`: percent and points."""
    for name, arm in found["arms"].items():
        beside = found["contrasts"].get(f"{name}-{STATIC}")
        structure = arm["structure"]
        yield [
            name,
            str(arm["seeds"]),
            "" if arm["complete_before"] is None else f"{100 * arm['complete_before']:.1f}",
            estimate(arm[COMPLETE]),
            estimate(beside[COMPLETE], "+") if beside else "",
            estimate(arm[PROGRESS]),
            estimate(structure[COMPLETE]) if structure else "",
        ]


def cost_rows(found: Mapping[str, Any], arms: Arms) -> Iterator[Row]:
    """Cells of `COST`."""
    for name, arm in found["arms"].items():
        yield [
            name,
            f"{arm['trajectories']:,.0f}",
            f"{arm['generated_tokens'] / 1e6:.2f} M",
            f"{arm['tasks']:,.0f}",
            ", ".join(f"{mean:.0f}" for mean in thirds(arms[name], ACTIVE)),
            ", ".join(percent(mean) for mean in thirds(arms[name], SIGNAL)),
            f"{arm['wall_s'] / 60:.0f}",
            f"{arm['synthesis_s'] / 60:.1f}",
        ]


def thirds(runs: Sequence[RunResult], column: str) -> list[float]:
    """A value of the epochs, averaged over the trajectories of each third, and over the runs."""
    found = []
    for run in runs:
        starts = np.array([point.trajectories for point in run.by_epoch])
        ends = np.array([*starts[1:], run.trajectories])
        edges = np.linspace(0, run.trajectories, 4)
        first, last = np.maximum.outer(edges[:-1], starts), np.minimum.outer(edges[1:], ends)
        within = np.clip(last - first, 0, None)  # trajectories of each epoch in each third
        values = np.array([getattr(point, column) for point in run.by_epoch], dtype=np.float64)
        found.append((within * values).sum(axis=1) / within.sum(axis=1))
    return [float(mean) for mean in np.mean(found, axis=0)]


def curve_rows(arms: Arms) -> Iterator[Row]:
    """Complete tasks of the validation side during training; the first row has the trajectories.

    The columns are the points of the first arm. An arm with other points is interpolated.
    """
    curves = {name: mean_curve(runs, COMPLETE) for name, runs in arms.items()}
    columns = [point.trajectories for point in next(iter(curves.values()))]
    yield ["trajectories", *(f"{column:,}" for column in columns)]
    for name, curve in curves.items():
        places, means = [p.trajectories for p in curve], [p.mean for p in curve]
        values = np.interp(columns, places, means, right=np.nan)
        yield [name, *("" if np.isnan(value) else percent(value, 1) for value in values)]


def way_rows(found: Mapping[str, Any]) -> Iterator[Row]:
    """Cells of `WAY`: how far each arm comes, and how early its validation curve comes there."""
    for name, arm in found["arms"].items():
        way, goal = arm["way_to_fresh"] or {}, arm["reaches"]
        if not way and not goal:
            continue
        score, after = "", ""
        if goal:
            score = f"{percent(goal[COMPLETE], 1)} ({goal['arm']})"
            after = f"{goal['trajectories']:,}" if goal["trajectories"] else "not reached"
        shares = (way.get(column) for column in (COMPLETE, PROGRESS))
        yield [name, *("" if s is None else percent(s) for s in shares), score, after]


def variant_rows(arms: Arms) -> Iterator[Row]:
    """Cells of `VARIANTS`: of the arms that made some; means over seeds."""
    for name, runs in arms.items():
        made = [run for run in runs if run.variants.all.groups]
        if not made:
            continue
        thirds = ([run.variants.thirds[i] for run in made] for i in range(3))
        by_family = [run.families.counts for run in made if run.families.counts]
        yield [
            name,
            f"{fmean(run.variants.all.groups for run in made):,.0f}",
            *landing_cells([run.variants.all for run in made]),
            ", ".join(landing_cells(third)[1] for third in thirds),
            percent(fmean(sum(c[:4]) / sum(c) for c in by_family)) if by_family else "",
        ]


def landing_cells(landings: Sequence[Landing]) -> tuple[str, str, str]:
    """Mean outcome, share with signal, and share within [0.25, 0.75], of all groups together."""
    groups = sum(one.groups for one in landings)
    if not groups:
        return "-", "-", "-"
    mean, signal, in_zone = (
        sum((getattr(one, column) or 0) * one.groups for one in landings) / groups
        for column in ("mean", "signal", "in_zone")
    )
    return f"{mean:.2f}", percent(signal), percent(in_zone)


def zone_rows(found: Mapping[str, Any]) -> Iterator[Row]:
    """Cells of `ZONES`."""
    boundary = Zone.BOUNDARY.value
    for name, arm in found["arms"].items():
        zones = arm["zones"]
        others = [zone for key, zone in zones.items() if key != boundary]
        if boundary not in zones or not others:
            continue
        groups = sum(zone["groups"] for zone in others)
        rest = sum(zone["groups"] * zone["variance"] for zone in others) / groups
        inside = zones[boundary]["variance"]
        times = f"{inside / rest:.1f}" if rest else ""
        yield [name, f"{inside:.4f}", f"{rest:.4f}", times]


def forecast_rows(found: Mapping[str, Any]) -> Iterator[Row]:
    """Cells of `FORECASTS`, of all seeds together."""
    for name, arm in found["arms"].items():
        for one in arm["forecasts"]:
            shares = (percent(one["expected_signal"]), percent(one["signal"]))
            means = (f"{one['expected_mean']:.2f}", f"{one['mean']:.2f}")
            yield [name, f"{one['groups']:,}", *shares, *means]


def retired_rows(found: Mapping[str, Any]) -> Iterator[Row]:
    """Cells of `RETIRED`; means over seeds."""
    for name, arm in found["arms"].items():
        if arm["retired"]:
            why = (f"{reason} {count:,.0f}" for reason, count in arm["retired"].items())
            yield [name, ", ".join(why)]


def estimate(found: Mapping[str, float], sign: str = "") -> str:
    """A mean with its interval, in percent."""
    mean, low, high = (found[key] for key in ("mean", "low", "high"))
    bounds = "" if low is None else f" [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"
    return f"{100 * mean:{sign}.1f}{bounds}"


def percent(share: float, digits: int = 0) -> str:
    """Of a share."""
    return f"{100 * share:.{digits}f} %"


def table(heads: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Lines of a Markdown table; none without rows."""
    if body := list(rows):
        for row in (heads, ["---"] * len(heads), *body):
            yield f"| {' | '.join(row)} |"
        yield ""


def tables(results: Sequence[RunResult]) -> Iterator[str]:
    """Lines of all tables."""
    arms, found = by_arm(results), analyse(results)
    yield from table(ARM, arm_rows(found))
    yield from table(COST, cost_rows(found, arms))
    points, *curves = curve_rows(arms)
    yield from table(points, curves)
    yield from table(WAY, way_rows(found))
    yield from table(VARIANTS, variant_rows(arms))
    yield from table(ZONES, zone_rows(found))
    yield from table(FORECASTS, forecast_rows(found))
    yield from table(RETIRED, retired_rows(found))
    if OWN in arms:
        yield from table(CLAIM, claim_rows(arms, CLAIMS))
        yield from table(CLAIM, claim_rows(arms, OURS))


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="The tables of a comparison, as Markdown.")
    parser.add_argument("folder", type=Path, help="compact results of `rods compare`")
    try:
        results = read_results(parser.parse_args().folder)
    except UserError as error:
        print(f"comparison_tables: {error}", file=sys.stderr)
        return 2
    print("\n".join(tables(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
