"""What the pages of the documentation hold: blocks of code, the commands in them, and links."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

from reference.pages import complete

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "RESULTS.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
MARKDOWN = MarkdownIt("commonmark").enable("table")
SHELL, TRANSCRIPT, TEXT = "sh", "transcript", "text"
FLOW = frozenset({"|", "&&", ";"})
FILES = frozenset({"<", ">", ">>"})


class Block(NamedTuple):
    """A block of code.

    Attributes:
        page: its path in the repository.
        language: of the fence; an indented block is of a shell, and one that begins with "$ " is
            the transcript of one; "" where nothing is said.
    """

    page: str
    line: int
    language: str
    text: str


class Command(NamedTuple):
    """One command of a line.

    Attributes:
        line: all of it, without its comment.
        words: those of this command, without assignments of the environment and redirections.
    """

    page: str
    number: int
    line: str
    words: tuple[str, ...]


def blocks() -> Iterator[Block]:
    """All blocks of all pages."""
    for page in PAGES:
        for token in MARKDOWN.parse(page.read_text("utf-8")):
            if token.type not in ("fence", "code_block"):
                continue
            language = token.info if token.type == "fence" else SHELL
            if language in ("", TEXT, "console") and token.content.startswith("$ "):
                language = TRANSCRIPT
            assert token.map
            number = token.map[0] + 1
            yield Block(str(page.relative_to(ROOT)), number, language, token.content)


def commands(block: Block) -> Iterator[Command]:
    """The commands of a block of a shell, or of a transcript of one."""
    lines = re.sub(r"\\\n\s*", " ", block.text).splitlines()
    if block.language == TRANSCRIPT:
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in lines:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split, lexer.commenters = True, "#"
        found: list[str] = []
        for word in (words := [*lexer, ";"]):
            if word not in FLOW:
                found.append(word)
            elif found:
                kept = [w for before, w in zip(["", *found], found, strict=False)
                        if not {before, w} & FILES]  # fmt: skip
                while "=" in kept[0]:
                    del kept[0]
                yield Command(block.page, block.line, shlex.join(words[:-1]), tuple(kept))
                found = []


def inline(page: Path) -> Iterator[str]:
    """Code within the text of a page."""
    for token in MARKDOWN.parse(page.read_text("utf-8")):
        for child in token.children or ():
            if child.type == "code_inline":
                yield child.content


def links(page: Path) -> Iterator[str]:
    """Where the links and images of a page lead."""
    for token in MARKDOWN.parse(complete(page.read_text("utf-8"))):
        for child in token.children or ():
            if child.type in ("link_open", "image"):
                yield str(child.attrs.get("href") or child.attrs["src"])


@cache
def anchors(page: Path) -> frozenset[str]:
    """The names of a page's headings, as hosts of repositories and the site make them."""
    found: Counter[str] = Counter()
    names = []
    tokens = MARKDOWN.parse(complete(page.read_text("utf-8")))
    for token in (after for before, after in pairwise(tokens) if before.type == "heading_open"):
        text = "".join(c.content for c in token.children or () if c.type in ("text", "code_inline"))
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        names.append(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return frozenset(names)
