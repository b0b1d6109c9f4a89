"""The table of a study: a row a configuration, means with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from rods.simulate.estimate import Estimate, estimate
from rods.simulate.summary import Row

HEADER = ("configuration", "progress", "mastered", "difference", "signal", "injected", "retired")
READ = (
    "Held-out progress and held-out tasks mastered at the end of the budget: means over seeds, with"
    " half of a 95 % interval. The difference, in tasks mastered, is to the first line, paired by"
    " seed. Signal: share of groups whose rewards differ, in the first and the last pass."
)


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Cells under `HEADER`, ready to print."""
    return [_cells(row) for row in rows]


def _cells(row: Row) -> tuple[str, ...]:
    found = {name: estimate(values) for name, values in row.final.items()}
    mastered = row.differences.get("mastered")
    return (
        row.name,
        _told(found["progress"], ".3f"),
        _told(found["mastered"], ".0f"),
        _told(mastered, "+.0f") if mastered else "-",
        f"{found['signal_first'].mean:.0%}→{found['signal'].mean:.0%}",
        f"{found['injected'].mean:.0f}",
        f"{found['retired'].mean:.0f}",
    )


def _told(found: Estimate, form: str) -> str:
    mean = f"{found.mean:{form}}"
    if found.high is None:
        return mean
    return f"{mean}±{found.high - found.mean:{form.removeprefix('+')}}"
