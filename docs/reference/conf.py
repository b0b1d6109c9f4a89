"""How Sphinx builds the site out of the pages in the folder above (`make docs`).

The reference is made from the code: where a page has `<!-- reference: NAME -->`, Sphinx reads the
text of that part instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))

from reference.pages import complete
from reference.site import require_offline
from rods import __version__

project = "RODS"
version = release = __version__
html_title = f"RODS {__version__}"
html_theme = "furo"
html_copy_source = html_show_sourcelink = html_show_copyright = False
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4
nitpicky = True
html_use_index = False
smartquotes = False  # an option is --no-deps


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    source[0] = complete(source[0])


def _finished(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        require_offline(Path(app.outdir))


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _read)
    app.connect("build-finished", _finished)
