"""The page of a report: its sections in order, in one file that loads nothing else."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from rods.curriculum.boundary import Zone
from rods.files.output import Output
from rods.group import Group
from rods.report import figures, tables
from rods.report.browser import browser_data
from rods.report.record import Record
from rods.report.style import ZONES
from rods.store.account import count_of
from rods.store.store import Store

HERE = Path(__file__).parent
ARMS = {
    "rods": "verified variants are made of tasks at the boundary of its ability, and tasks retire",
    "static": "the pool does not change (comparison arm without synthesis)",
    "fresh": "each group gets a newly made task (comparison arm without a boundary)",
}
_FUNNEL = "Every attempt at a variant ends admitted or at the first check that it fails."


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write the report of the run in `folder`, and return its path.

    Args:
        out: the file to write; None for `report.html` in the folder.

    Raises:
        UserError: there is no run, it cannot be read, or the page cannot be written.
    """
    store = Store(folder, role="reader")
    try:
        output = Output(out or folder / "report.html")
        output.differs(*(file for file in folder.iterdir() if file.suffix != ".html"))
        with store.snapshot():
            record = Record.read(store)
    finally:
        store.close()
    output.write(render(record))
    return output.path


def render(record: Record) -> str:
    """The page as text."""
    shown = sections(record)
    header, rows = tables.realisation(record)
    data = {
        "figures": {s.key: s.figure.to_plotly_json() for s in shown if s.figure is not None},
        "browser": browser_data(record),
        "zones": {str(zone): colour for zone, colour in ZONES.items()},
    }
    return fill(
        HERE / "page.html.j2",
        data,
        record=record,
        about=ARMS.get(record.config.get("arm", ""), "the pool of tasks changes as it learns"),
        tiles=tables.tiles(record),
        held_out=tables.held_out(record),
        held_out_note=tables.held_out_note(record),
        unmeasured=tables.unmeasured(record, "test"),
        errors=count_of(record.account.errors) if record.account.errors else "",
        realisation_header=header,
        realisation_rows=rows,
        sections=shown,
        browser=data["browser"],
    )


def fill(template: Path, data: dict[str, Any] | None, **values: Any) -> str:
    """A page from a template, with the style, the scripts and the figures of all pages.

    Args:
        data: plain data for the scripts; None for a page without scripts.
        values: more values for the template.
    """
    scripts = [Markup(get_plotlyjs()), Markup((HERE / "page.js").read_text("utf-8"))]
    scripts = [] if data is None else scripts
    env = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return env.get_template(template.name).render(
        style=Markup((HERE / "page.css").read_text("utf-8")),
        scripts=scripts,
        hashes=[_hash(script) for script in scripts],
        data=_island(data),
        **values,
    )


def _island(data: Any) -> Markup:
    """JSON for a script element: no text in it can end that element or begin another."""
    text = json.dumps(data, separators=(",", ":"))
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)


def _hash(script: str) -> str:
    """A script's hash for the content security policy: only scripts listed there may run."""
    return "sha256-" + b64encode(hashlib.sha256(script.encode()).digest()).decode()


@dataclass(frozen=True)
class Section:
    """A figure with a heading and a text on how to read it.

    Attributes:
        empty: the sentence that is shown if there is no figure.
        wide: it has the page's whole width.
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
    no_groups = "There are no groups yet."
    none_whole = "No group is complete: each lost rollouts." if record.groups else no_groups
    return [
        Section(
            "curve",
            "Held-out progress during training",
            "Mean progress on the validation tasks, measured between epochs.",
            figures.held_out_curve(record),
            tables.unmeasured(record, "validation"),
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
            "If all rewards of a group are equal, its advantages are zero and nothing is learnt.",
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
            "Changes at the start of each epoch: above zero the tasks that came in, below zero "
            "those that went to rest or retired, by reason. The lower figure has the active tasks.",
            figures.pool(record),
            "The fresh arm draws from no pool."
            if record.config.get("arm") == "fresh"
            else "The pool is empty.",
        ),
        Section(
            "landings",
            "Where new tasks land",
            _landing_text(record),
            figures.landings(record),
            none_whole,
        ),
        Section(
            "funnel",
            "Synthesis attempts",
            " ".join(filter(None, (_FUNNEL, record.account.sentence()))),
            figures.funnel(record),
            "No variant was attempted.",
        ),
    ]


def _landing_text(record: Record) -> str:
    first = record.firsts
    text = "Mean outcome of each task's first complete group; dashed lines are the zone limits."
    seeds = _at_boundary(record, (g for i, g in first.items() if i in record.seeds))
    made = _at_boundary(record, (g for i, g in first.items() if i not in record.seeds))
    if made:
        text += f" At the boundary: {made} of the generated tasks"
        text += f", {seeds} of the seed tasks." if seeds else "."
    return text


def _at_boundary(record: Record, groups: Iterable[Group]) -> str:
    found = [record.limits.zone(group.mean) is Zone.BOUNDARY for group in groups]
    return f"{sum(found) / len(found):.0%}" if found else ""
