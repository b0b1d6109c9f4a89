"""The page of a study: figures and the table in one file, nothing fetched."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from rods.report.page import HERE as REPORT
from rods.report.page import island
from rods.simulate.figures import sections
from rods.simulate.study import Study
from rods.simulate.summary import Row
from rods.simulate.table import HEADER, READ, cells


def render(rows: Sequence[Row], study: Study) -> str:
    """The page as text."""
    first = study.setups[0]
    shown = sections(rows, first.settings.world.heldout)
    scripts = [Markup(get_plotlyjs()), Markup((REPORT / "page.js").read_text("utf-8"))]
    hashes = [b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return env.get_template("page.html.j2").render(
        preset=first.config.preset,
        trajectories=study.trajectories,
        seeds=len(study.seeds),
        header=HEADER,
        read=READ,
        rows=cells(rows),
        sections=shown,
        style=Markup((REPORT / "page.css").read_text("utf-8")),
        scripts=scripts,
        hashes=[f"sha256-{found}" for found in hashes],
        data=island({"figures": {s.key: s.figure.to_plotly_json() for s in shown}}),
    )
