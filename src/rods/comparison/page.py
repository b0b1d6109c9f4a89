"""The page of a comparison: tables and curves, in one file that loads nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rods.comparison import figures, text
from rods.comparison.analysis import by_arm
from rods.comparison.folder import PAGE
from rods.comparison.result import HIGH, LOW, Landing, RunResult
from rods.files.output import Output
from rods.report.document import fill

LANDINGS = ("arm", "seed", "part of the run", "first groups", "mean", "with signal", "in zone")
PARTS = ("whole", "first third", "second third", "last third")
SETUPS = ("arm", "settings")


def write_page(folder: Path, results: Sequence[RunResult], found: Mapping[str, Any]) -> Path:
    """Write the page into the folder of a comparison, and return its path.

    Args:
        found: what `analyse` returns for the results.

    Raises:
        UserError: it cannot be written.
    """
    output = Output(folder / PAGE)
    output.write(render(results, found))
    return output.path


def render(results: Sequence[RunResult], found: Mapping[str, Any]) -> str:
    """The page as text."""
    arms = by_arm(results)
    sections = figures.sections(arms)
    runs = [run for some in arms.values() for run in some]
    zones = text.zone_rows(found)
    return fill(
        Path(__file__).with_name("page.html.j2"),
        preset=found["preset"],
        side=found["side"],
        runs=len(runs),
        notes=list(text.notes(found)),
        tables=[
            ("Arms", text.READ, text.ARMS, text.arm_rows(found)),
            ("Signal and costs", text.READ_COSTS, text.COSTS, text.cost_rows(found)),
            ("Differences", text.READ_CONTRASTS, text.CONTRASTS, text.contrast_rows(found)),
        ],
        later=[
            (
                "First groups of variants",
                f"In zone: mean outcome within [{LOW}, {HIGH}].",
                LANDINGS,
                [row for run in runs for row in _landing_rows(run)],
            ),
            (
                "New combinations of tools",
                "Held-out tasks with combinations of tools that no training task has.",
                text.STRUCTURE,
                text.structure_rows(found),
            ),
            (
                "Sizes of tasks",
                "Means of the first random seed.",
                text.SIZES,
                [row for name, some in arms.items() for row in _size_rows(name, some[0])],
            ),
            ("Variance by zone", "Of complete groups, all seeds together.", text.ZONES, zones),
            ("Why variants retired", "Means over seeds.", text.RETIRED, text.retired_rows(found)),
            (
                "Forecasts of first groups",
                "Variants by the forecast probability that their first group has signal, and what"
                " these groups had; all seeds together.",
                text.FORECASTS,
                text.forecast_rows(found),
            ),
            (
                "Settings",
                "All settings beside the preset's.",
                SETUPS,
                [[name, " ".join(some[0].settings) or "-"] for name, some in arms.items()],
            ),
        ],
        sections=sections,
    )


def _size_rows(name: str, run: RunResult) -> list[list[str]]:
    return text.size_rows(name, run.sizes.seeds, run.sizes.variants)


def _landing_rows(run: RunResult) -> list[list[str]]:
    if not run.variants.all.groups:
        return []
    parts = zip(PARTS, (run.variants.all, *run.variants.thirds), strict=True)
    return [[run.arm, str(run.seed), part, *_landing(one)] for part, one in parts]


def _landing(one: Landing) -> list[str]:
    if one.mean is None or one.signal is None or one.in_zone is None:
        return [str(one.groups), "-", "-", "-"]
    return [str(one.groups), f"{one.mean:.3f}", f"{one.signal:.0%}", f"{one.in_zone:.0%}"]
