"""The report's numbers: tiles, the held-out table and the table of realisations."""

from __future__ import annotations

from typing import NamedTuple

from rods.group import signal_share
from rods.report.record import Record
from rods.store.schema import Evaluation
from rods.task import OVERALL

NONE = "-"


class Tile(NamedTuple):
    """A headline number."""

    name: str
    value: str
    detail: str = ""


class HeldOut(NamedTuple):
    """One row of the held-out table; cells are ready to print."""

    category: str
    progress: tuple[str, str]
    complete: tuple[str, str]
    episodes: str


def tiles(record: Record) -> list[Tile]:
    """The run in a few numbers."""
    before, after = _ends(record)
    first, last = before.get(OVERALL), after.get(OVERALL)
    kinds = [event.kind for event in record.events]
    retired = {e.task_id for e in record.events if e.kind == "retired"}
    fresh = len(record.generated)
    return [
        Tile("held-out progress", _change(*_pair(first, last, "progress")), "test, before → after"),
        Tile("held-out complete", _change(*_pair(first, last, "complete")), "test, before → after"),
        Tile("injected", f"{kinds.count('injected'):,}", "variants that joined the pool")
        if record.config.get("arm") != "fresh"
        else Tile("made", f"{fresh:,}", "fresh tasks, one for each group"),
        *_made_tile(record),
        Tile("retired", f"{len(retired):,}", "variants that left the pool"),
        _signal_tile(record),
    ]


def held_out(record: Record) -> list[HeldOut]:
    """First and last measurement on the test side, by category."""
    before, after = _ends(record)
    rows = []
    for name in sorted({**before, **after}, key=lambda name: name == OVERALL):  # that one last
        first, last = before.get(name), after.get(name)
        counts = dict.fromkeys(str(e.episodes) for e in (first, last) if e)
        progress, complete = _pair(first, last, "progress"), _pair(first, last, "complete")
        rows.append(HeldOut(name, progress, complete, " / ".join(counts)))
    return rows


def held_out_note(record: Record) -> str:
    """When the test side was measured, as a sentence."""
    steps = _test_steps(record)
    text = " and ".join(f"after {n} training steps" if n else "before training" for n in steps)
    return f"Measured on the test side {text}{'' if len(steps) > 1 else ', not again yet'}."


def unmeasured(record: Record, side: str) -> str:
    """Why there is no measurement on a held-out side, as a sentence."""
    if record.realisation.get(side) == {}:
        return f"There are no {side} tasks."
    return f"There is no measurement on the {side} tasks yet."


def realisation(record: Record) -> tuple[list[str], list[list[str]]]:
    """How the tasks were made: the header, and a row for each note with a column for each side."""
    sides = list(record.realisation)
    notes = dict.fromkeys(note for counts in record.realisation.values() for note in counts)
    rows = [
        [note, *(f"{record.realisation[side].get(note, 0):,}" for side in sides)] for note in notes
    ]
    return ["tasks", *sides], rows


def _test_steps(record: Record) -> list[int]:
    """The steps of the first and the last measurement, or of the only one."""
    steps = sorted({e.step for e in record.evaluations if e.side == "test"})
    return [steps[0], steps[-1]] if len(steps) > 1 else steps


def _ends(record: Record) -> tuple[dict[str, Evaluation], dict[str, Evaluation]]:
    """Category -> measurement, before and after; the second is empty if there was only one."""
    steps = _test_steps(record)
    found = [
        {e.category: e for e in record.evaluations if e.side == "test" and e.step == step}
        for step in steps
    ]
    found += [{}] * (2 - len(found))
    return found[0], found[1]


def _pair(first: Evaluation | None, last: Evaluation | None, name: str) -> tuple[str, str]:
    one, two = (f"{getattr(e, name):.1%}" if e else NONE for e in (first, last))
    return one, two


def _change(before: str, after: str) -> str:
    return NONE if before == after == NONE else f"{before} → {after}"


def _made_tile(record: Record) -> list[Tile]:
    """The number of variants made; those that wait or expired cost as much as the others."""
    fates = record.account.fates
    detail = f"{fates.waiting:,} wait, {fates.expired:,} expired"
    return [Tile("variants made", f"{fates.made:,}", detail)] if fates.made else []


def _signal_tile(record: Record) -> Tile:
    name = "groups with signal"
    if not record.by_epoch:
        return Tile(name, NONE)
    first, *_ = record.by_epoch
    *_, last = record.by_epoch
    one, two = (f"{signal_share(record.by_epoch[epoch]):.1%}" for epoch in (first, last))
    if first == last:
        return Tile(name, one, f"epoch {first}")
    return Tile(name, f"{one} → {two}", f"epoch {first} → {last}")
