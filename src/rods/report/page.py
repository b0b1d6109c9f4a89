"""The page itself: everything in one file, nothing fetched."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from rods.output import Output
from rods.report import tables
from rods.report.browser import browser_data
from rods.report.record import Record
from rods.report.sections import sections
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
