"""The links of the README, the results, the changelog and the docs lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from documented import PAGES, ROOT, anchors, links

MENTION = re.compile(r"\b(?:docs/)[\w./-]+\.md\b(#[\w-]+)?")
CODE = [
    file for name in ("src", "tests", "examples", "benchmarks") for file in (ROOT / name).rglob("*")
]
READ = [*PAGES, *(file for file in CODE if file.suffix in (".py", ".yaml"))]


def problem(page: Path, link: str) -> str:
    """What is wrong with a link; "" if nothing is. Other places are not visited."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        right = parts.scheme in ("http", "https") and "." in (parts.hostname or "")
        return "" if right and not re.search(r"\s", link) else "no address of a page"
    target = (page.parent / parts.path).resolve() if parts.path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return "no such file"
    if parts.fragment and (target.suffix != ".md" or parts.fragment not in anchors(target)):
        return "no such heading"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page: Path) -> None:
    assert [(link, why) for link in links(page) if (why := problem(page, link))] == []


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("no-such.md", "no such file"),
        ("../../outside.md", "no such file"),
        ("glossary.md#no-such", "no such heading"),
        ("#no-such", "no such heading"),
        ("htps://arxiv.org", "no address of a page"),
        ("https://arxiv", "no address of a page"),
        ("glossary.md#the-loop", ""),
        ("settings.md#rollout", ""),
        ("https://arxiv.org/abs/2606.19047", ""),
    ],
)
def test_wrong_links_are_found(link: str, why: str) -> None:
    assert problem(ROOT / "docs" / "index.md", link) == why


def test_pages_that_are_named_exist() -> None:
    for file in READ:
        for found in MENTION.finditer(file.read_text("utf-8")):
            path, _, heading = found[0].partition("#")
            assert (ROOT / path).is_file(), f"{file}: {path}"
            assert not heading or heading in anchors(ROOT / path), f"{file}: {found[0]}"
