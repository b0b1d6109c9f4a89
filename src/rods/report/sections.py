"""The parts of a run's page and of its report: figures with what is needed to read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rods.charts.chart import Figure
from rods.curriculum.boundary import Zone
from rods.digest.state import RunState
from rods.report import figures, tables, work

_FUNNEL = "Every attempt at a variant ends admitted or at the first check that it fails."


@dataclass(frozen=True)
class Section:
    """Figures with a heading and a text on how to read them.

    Attributes:
        figures: what each shows, and the figure.
        empty: the sentence that is shown if there is no figure.
        wide: it has the page's whole width.
    """

    key: str
    title: str
    text: str
    figures: tuple[tuple[str, Figure], ...]
    empty: str
    wide: bool = False


def section(
    key: str, title: str, text: str, found: Figure | None, empty: str = "", *, wide: bool = False
) -> Section:
    """A section of at most one figure."""
    return Section(key, title, text, _shown((title, found)), empty, wide)


def sections(state: RunState) -> list[Section]:
    """All figures of a run."""
    return [*_learning(state), *_pool(state), *_work(state)]


def _learning(state: RunState) -> Iterable[Section]:
    low, high = state.limits.low, state.limits.high
    groups = state.by_place("signal")
    no_groups = "There are no groups yet."
    none_whole = "No group is complete: each lost rollouts." if groups else no_groups
    yield section(
        "curve",
        "Held-out progress during training",
        "Mean progress on the validation tasks, measured between epochs.",
        figures.held_out_curve(state),
        tables.unmeasured(state, "validation"),
        wide=True,
    )
    yield section(
        "zones",
        "Where groups lie",
        f"Share of complete groups by mean outcome: mastered above {high:g}, hard below "
        f"{low:g}, boundary in between.",
        figures.zones(state),
        none_whole,
    )
    yield section(
        "signals",
        "Groups with signal, and why others have none",
        "If all rewards of a group are equal, its advantages are zero and nothing is learnt.",
        figures.signals(state),
        no_groups,
    )
    yield section(
        "variances",
        "Variance of outcomes by zone",
        "Mean over the complete groups of each zone. A group at the boundary may still be "
        "constant.",
        figures.variances(state),
        none_whole,
    )
    yield section(
        "landings",
        "Where new tasks land",
        _landing_text(state),
        figures.landings(state),
        none_whole,
    )


def _pool(state: RunState) -> Iterable[Section]:
    fresh = state.arm == "fresh"
    yield Section(
        "pool",
        "Pool: in, out, and active",
        "Changes at the start of each epoch: above zero the tasks that came in, below zero "
        "those that went to rest or retired, by reason. The lower figure has the active tasks.",
        ()
        if fresh
        else _shown(
            ("Tasks that entered and left the pool", figures.pool_flow(state)),
            ("Active tasks", figures.pool_size(state)),
        ),
        "The fresh arm draws from no pool." if fresh else "The pool is empty.",
    )
    families = state.families[1]
    yield section(
        "families",
        "Families",
        "Injected variants by the seed task that they descend from, the largest family first"
        + (f"; {families:,} families have variants." if families else "."),
        figures.families(state),
        "No variant was injected.",
    )


def _work(state: RunState) -> Iterable[Section]:
    yield section(
        "funnel",
        "Synthesis attempts",
        " ".join(filter(None, (_FUNNEL, state.account.sentence()))),
        work.funnel(state),
        "No variant was attempted.",
    )
    yield Section(
        "worker",
        "Synthesis jobs",
        tables.jobs_text(state),
        _shown(
            ("Time of jobs by their outcome", work.job_times(state)),
            ("Tokens of the model of synthesis", work.job_tokens(state)),
        ),
        "No job has ended.",
    )
    yield section(
        "steps",
        "Time of a training step",
        "Seconds by part. What no part names is the update of the policy.",
        work.step_times(state),
        "No step has ended.",
        wide=True,
    )


def _shown(*found: tuple[str, Figure | None]) -> tuple[tuple[str, Figure], ...]:
    return tuple((name, figure) for name, figure in found if figure is not None)


def _landing_text(state: RunState) -> str:
    text = "Mean outcome of each task's first complete group; dashed lines are the zone limits."
    made, seeds = (_at_boundary(state, origin) for origin in ("generated", "seeds"))
    if made:
        text += f" At the boundary: {made} of the generated tasks"
        text += f", {seeds} of the seed tasks." if seeds else "."
    return text


def _at_boundary(state: RunState, origin: str) -> str:
    found = state.total(f"first {origin}")
    return f"{found[Zone.BOUNDARY] / found.total():.0%}" if found else ""
