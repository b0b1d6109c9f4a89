"""The paper's comparative claims beside ours, as Markdown tables for RESULTS.md.

    python experiments/paper_claims.py results/comparison

The paper's figures are points of BFCL's overall accuracy of Qwen3-4B (arXiv 2606.19047, its tables
of results and ablations, known second-hand); it gives no random seeds and no intervals. Ours are
points of complete held-out tasks of the small policy, with 95 % intervals over random seeds and
tasks. So signs can be compared; sizes only roughly.

A claim of a difference is answered:

- "agree": our interval lies wholly on the claimed side of 0;
- "disagree": it lies wholly on the other side, or wholly below a fifth of the claimed difference;
- "cannot tell": anything else, also if an arm was not run.

A claim of equality within a margin: "agree" if the whole interval is above minus the margin,
"disagree" if the whole interval is below it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rods.comparison.analysis import Arms, by_arm, contrast
from rods.comparison.folder import read_results
from rods.errors import UserError

SMALL = 0.2  # share of a claimed difference below which ours contradicts it
EQUAL = 1.0  # points within which two arms count as equal
LEAST_SEEDS = 2  # for an interval that says something of other random seeds


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


def rows(arms: Arms, claims: Iterable[Claim]) -> Iterator[str]:
    """Lines of a table."""
    yield "| claim | difference | paper | ours, 95 % interval | seeds | |"
    yield "|---|---|---|---|---|---|"
    for claim in claims:
        ours = difference(arms, claim)
        paper = "-" if claim.points is None else f"{claim.points:+.2f}"
        told, seeds = "not run", "-"
        if ours:
            told = f"{ours.mean:+.1f} [{ours.low:+.1f}, {ours.high:+.1f}]"
            seeds = str(ours.seeds)
        cells = (claim.text, f"{claim.one} - {claim.other}", paper, told, seeds)
        yield f"| {' | '.join(cells)} | {answer(claim, ours)} |"


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="The paper's claims beside ours, as Markdown.")
    parser.add_argument("folder", type=Path, help="compact results of `rods compare`")
    try:
        arms = by_arm(read_results(parser.parse_args().folder))
    except UserError as error:
        print(f"paper_claims: {error}", file=sys.stderr)
        return 2
    print("\n".join([*rows(arms, CLAIMS), "", *rows(arms, OURS)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
