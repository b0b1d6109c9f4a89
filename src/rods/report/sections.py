"""The report's figures in their order, each with a heading and a sentence on how to read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rods.curriculum.boundary import Zone
from rods.group import Group
from rods.report import figures, supply
from rods.report.record import Record

_FUNNEL = "Every attempt at a variant ends admitted or at the first check that it fails."


@dataclass(frozen=True)
class Section:
    """A figure, or a sentence in its place.

    Attributes:
        empty: what to say where there is no figure.
        wide: takes the page's whole width.
    """

    key: str
    title: str
    text: str
    figure: Any
    empty: str
    wide: bool = False


def sections(record: Record) -> list[Section]:
    """All figures of the report."""
    low, high = record.limits.low, record.limits.high
    no_groups = "No groups have been rolled out yet."
    none_whole = "Every group lost rollouts to the environment." if record.groups else no_groups
    return [
        Section(
            "curve",
            "Held-out progress during training",
            "Mean progress on the validation tasks, measured between epochs.",
            figures.held_out_curve(record),
            "No measurement on the validation tasks has been taken yet.",
            wide=True,
        ),
        Section(
            "zones",
            "Where groups lie",
            f"Share of complete groups by mean outcome: mastered above {high:g}, hard below "
            f"{low:g}, boundary in between.",
            figures.zones(record),
            none_whole,
        ),
        Section(
            "signals",
            "Groups without signal, by cause",
            "A group whose rewards are all equal has no advantage and teaches nothing.",
            figures.signals(record),
            no_groups,
        ),
        Section(
            "variances",
            "Variance of outcomes by zone",
            "Mean over the complete groups of each zone. A group at the boundary may still be "
            "constant.",
            figures.variances(record),
            none_whole,
        ),
        Section(
            "pool",
            "Pool: in, out, and active",
            "Changes at the start of each epoch: above zero tasks that came in, below zero tasks "
            "that rest, or that retired, by reason. Underneath, the tasks that may be drawn.",
            supply.pool(record),
            "The fresh arm draws from no pool."
            if record.config.get("arm") == "fresh"
            else "The pool is empty.",
        ),
        Section(
            "landings",
            "Where new tasks land",
            _landing_text(record),
            supply.landings(record),
            none_whole,
        ),
        Section(
            "funnel",
            "Synthesis attempts",
            " ".join(filter(None, (_FUNNEL, record.account.sentence()))),
            supply.funnel(record),
            "No variant has been attempted.",
        ),
    ]


def _landing_text(record: Record) -> str:
    first = record.firsts
    text = "Mean outcome of each task's first complete group; dashed lines are the zone limits."
    seeds = _at_boundary(record, (g for i, g in first.items() if i in record.seeds))
    made = _at_boundary(record, (g for i, g in first.items() if i not in record.seeds))
    if made:
        text += f" At the boundary: {made} of the generated tasks"
        text += f", {seeds} of the seeds." if seeds else "."
    return text


def _at_boundary(record: Record, groups: Iterable[Group]) -> str:
    found = [record.limits.zone(group.mean) is Zone.BOUNDARY for group in groups]
    return f"{sum(found) / len(found):.0%}" if found else ""
