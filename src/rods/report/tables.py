"""The report's numbers: tiles, the held-out table and the table of realisations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from rods.digest.state import RunState, Tally
from rods.group import Signal
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


def tiles(state: RunState) -> list[Tile]:
    """The run in a few numbers."""
    before, after = _ends(state)
    first, last = before.get(OVERALL), after.get(OVERALL)
    events = state.total("event")
    fresh = state.states.get("used once", 0)
    return [
        Tile("held-out progress", _change(*_pair(first, last, "progress")), "test, before → after"),
        Tile("held-out complete", _change(*_pair(first, last, "complete")), "test, before → after"),
        Tile("injected", f"{events['injected']:,}", "variants that joined the pool")
        if state.arm != "fresh"
        else Tile("made", f"{fresh:,}", "fresh tasks, one for each group"),
        *_made_tile(state),
        Tile("retired", f"{events['retired']:,}", "variants that left the pool"),
        _signal_tile(state),
    ]


def held_out(state: RunState) -> list[HeldOut]:
    """First and last measurement on the test side, by category."""
    before, after = _ends(state)
    rows = []
    for name in sorted({**before, **after}, key=lambda name: name == OVERALL):  # that one last
        first, last = before.get(name), after.get(name)
        counts = dict.fromkeys(str(e.episodes) for e in (first, last) if e)
        progress, complete = _pair(first, last, "progress"), _pair(first, last, "complete")
        rows.append(HeldOut(name, progress, complete, " / ".join(counts)))
    return rows


def held_out_note(state: RunState) -> str:
    """When the test side was measured, as a sentence."""
    steps = _test_steps(state)
    text = " and ".join(f"after {n} training steps" if n else "before training" for n in steps)
    return f"Measured on the test side {text}{'' if len(steps) > 1 else ', not again yet'}."


def unmeasured(state: RunState, side: str) -> str:
    """Why there is no measurement on a held-out side, as a sentence."""
    if state.realisation.get(side) == {}:
        return f"There are no {side} tasks."
    return f"There is no measurement on the {side} tasks yet."


def realisation(state: RunState) -> tuple[list[str], list[list[str]]]:
    """How the tasks were made: the header, and a row for each note with a column for each side."""
    sides = list(state.realisation)
    notes = dict.fromkeys(note for counts in state.realisation.values() for note in counts)
    rows = [
        [note, *(f"{state.realisation[side].get(note, 0):,}" for side in sides)] for note in notes
    ]
    return ["tasks", *sides], rows


def _test_steps(state: RunState) -> list[int]:
    """The steps of the first and the last measurement, or of the only one."""
    steps = sorted({e.step for e in state.evaluations if e.side == "test"})
    return [steps[0], steps[-1]] if len(steps) > 1 else steps


def _ends(state: RunState) -> tuple[dict[str, Evaluation], dict[str, Evaluation]]:
    """Category -> measurement, before and after; the second is empty if there was only one."""
    steps = _test_steps(state)
    found = [
        {e.category: e for e in state.evaluations if e.side == "test" and e.step == step}
        for step in steps
    ]
    found += [{}] * (2 - len(found))
    return found[0], found[1]


def _pair(first: Evaluation | None, last: Evaluation | None, name: str) -> tuple[str, str]:
    one, two = (f"{getattr(e, name):.1%}" if e else NONE for e in (first, last))
    return one, two


def _change(before: str, after: str) -> str:
    return NONE if before == after == NONE else f"{before} → {after}"


def _made_tile(state: RunState) -> list[Tile]:
    """The number of variants made; those that wait or expired cost as much as the others."""
    fates = state.account.fates
    detail = f"{fates.waiting:,} wait, {fates.expired:,} expired"
    return [Tile("variants made", f"{fates.made:,}", detail)] if fates.made else []


def _signal_tile(state: RunState) -> Tile:
    name, epochs = "groups with signal", state.by_place("signal")
    if not epochs:
        return Tile(name, NONE)
    first, last = min(epochs), max(epochs)
    one, two = (f"{_signal(epochs[epoch]):.1%}" for epoch in (first, last))
    if first == last:
        return Tile(name, one, f"epoch {first}")
    return Tile(name, f"{one} → {two}", f"epoch {first} → {last}")


def _signal(found: Mapping[str, Tally]) -> float:
    counts = {name: tally.n for name, tally in found.items()}
    return counts.get(Signal.SIGNAL, 0) / sum(counts.values())


def jobs_text(state: RunState) -> str:
    """The worker's health as sentences."""
    if state.arm == "static" or not (state.jobs or any(state.queue)):
        return "Each job is a parent task to be varied."
    done: Counter[str] = Counter()
    for job in state.jobs:
        done[job.outcome] += job.jobs
    ended = ", ".join(f"{n:,} {outcome}" for outcome, n in done.items()) or "none"
    opened, waiting = state.queue
    text = f"Each job is a parent task to be varied. Ended: {ended}. "
    return text + f"In the queue: {opened:,} jobs are open, {waiting:,} candidates wait."
