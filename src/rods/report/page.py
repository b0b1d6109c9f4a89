"""The page itself: everything in one file, nothing fetched."""

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
    "rods": "tasks at the edge of its ability spawn verified variants, and others retire",
    "static": "the pool stays as it is (comparison arm without synthesis)",
    "fresh": "every group gets a newly made task (comparison arm without a boundary)",
}


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write the report of the run in `folder` and return where it is.

    Args:
        out: the file to write; `report.html` in the folder if left out.

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
    scripts = [Markup(get_plotlyjs()), Markup((HERE / "page.js").read_text("utf-8"))]
    env = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    header, rows = tables.realisation(record)
    data = {
        "figures": {s.key: s.figure.to_plotly_json() for s in shown if s.figure is not None},
        "browser": browser_data(record),
        "zones": {str(zone): colour for zone, colour in ZONES.items()},
    }
    return env.get_template("page.html.j2").render(
        record=record,
        about=ARMS.get(record.config.get("arm", ""), "the pool of tasks changes as it learns"),
        tiles=tables.tiles(record),
        held_out=tables.held_out(record),
        held_out_note=tables.held_out_note(record),
        errors=count_of(record.account.errors) if record.account.errors else "",
        realisation_header=header,
        realisation_rows=rows,
        sections=shown,
        browser=data["browser"],
        style=Markup((HERE / "page.css").read_text("utf-8")),
        scripts=scripts,
        hashes=[_hash(script) for script in scripts],
        data=island(data),
    )


def island(data: Any) -> Markup:
    """JSON that can stand in a script element: no text in it can close that or open another."""
    text = json.dumps(data, separators=(",", ":"))
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)


def _hash(script: str) -> str:
    """A script's name in the content security policy: only scripts named there may run."""
    return "sha256-" + b64encode(hashlib.sha256(script.encode()).digest()).decode()


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
