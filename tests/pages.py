"""Pages as a browser reads them: elements, texts, scripts and the numbers of charts."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "hr", "img", "path", "rect", "line"}


@dataclass
class Table:
    """A table: its label, and the texts of its cells row by row, heads included."""

    label: str
    rows: list[list[str]] = field(default_factory=list)

    @property
    def columns(self) -> dict[str, list[str]]:
        """Head of a column -> its cells."""
        head, *rows = self.rows
        return {name: [row[i] for row in rows] for i, name in enumerate(head)}


class Elements(HTMLParser):
    """A page.

    Attributes:
        tags: each element with its attributes.
        scripts: attributes and content of each script.
        text: all that is shown.
        sections: id of a section -> the tables in it.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = self.style = ""
        self.sections: dict[str, list[Table]] = {}
        self._section, self._label, self._cell = "", "", False
        self.feed(str(page))  # Markup would escape what is added to it

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "script":
            self.scripts.append((found, ""))
        if tag == "section" and found.get("id"):
            self._section = found["id"] or ""
            self.sections[self._section] = []
        if found.get("role") == "region":
            self._label = found.get("aria-label") or ""
        if tag == "table" and self._section:
            self.sections[self._section].append(Table(self._label))
        if tag == "tr" and self._tables:
            self._tables[-1].rows.append([])
        self._cell = tag in ("td", "th")
        if self._cell and self._tables and found.get("class") != "bar":
            self._tables[-1].rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "section":
            self._section = ""
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif self.cdata_elem == "style":
            self.style += data
        else:
            self.text += data
            if self._cell and self._tables:
                self._tables[-1].rows[-1][-1] += data

    @property
    def _tables(self) -> list[Table]:
        return self.sections.get(self._section, [])

    @property
    def words(self) -> str:
        """The text with single spaces."""
        return " ".join(self.text.split())

    def loads(self) -> list[tuple[str, str | None]]:
        """What the page makes a browser load or lead to."""
        names = ("src", "href", "srcset", "action", "data", "formaction")
        return [(tag, v) for tag, attrs in self.tags for n, v in attrs.items() if n in names]

    def check_policy(self) -> None:
        """Only the scripts and the style of the page itself are allowed."""
        policy = next(
            attrs["content"] or ""
            for _, attrs in self.tags
            if attrs.get("http-equiv") == "Content-Security-Policy"
        )
        assert "default-src 'none'" in policy
        for kind, texts in (("script", [t for _, t in self.scripts]), ("style", [self.style])):
            allowed = re.search(rf"{kind}-src ([^;]*)", policy)
            assert allowed is not None
            digests = [base64.b64encode(hashlib.sha256(t.encode()).digest()) for t in texts]
            hashes = " ".join(f"'sha256-{digest.decode()}'" for digest in digests)
            assert allowed[1] == (hashes or "'none'")
        assert not [tag for tag, attrs in self.tags if "style" in attrs], "the policy forbids it"
