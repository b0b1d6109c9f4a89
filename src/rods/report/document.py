"""Pages from templates: their style, scripts and charts, and which scripts may run."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from rods import charts
from rods.charts.draw import draw
from rods.charts.style import ZONES
from rods.html import templates

HERE = Path(__file__).parent
CHARTS = Path(charts.__file__).parent
STYLES = (HERE / "page.css", CHARTS / "chart.css")
SCRIPTS = (CHARTS / "chart.js",)


def fill(template: Path, scripts: Sequence[Path] = SCRIPTS, **values: Any) -> str:
    """A page from a template, in one file that loads nothing else.

    Args:
        scripts: files of scripts that the page has.
        values: more values for the template.
    """
    texts = [Markup(path.read_text("utf-8")) for path in scripts]
    return (
        environment(template.parent)
        .get_template(template.name)
        .render(
            style=Markup(style()),
            scripts=texts,
            policy=_policy(style(), texts),
            **values,
        )
    )


@cache
def environment(folder: Path) -> Environment:
    """Templates of a folder, and those that all pages share."""
    env = templates(folder, HERE)
    env.globals.update(draw=draw, zone_colours={str(zone): c for zone, c in ZONES.items()})
    return env


@cache
def style() -> str:
    """The style of all pages."""
    return "".join(path.read_text("utf-8") for path in STYLES)


def _policy(style: str, scripts: Sequence[str]) -> str:
    """A content security policy: only these texts are a style and scripts, nothing is loaded."""
    allowed = " ".join(map(_hash, scripts)) or "'none'"
    return (
        f"default-src 'none'; style-src {_hash(style)}; img-src data:; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
