"""The transcripts in the docs are what the commands print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```\n(\$ .*?)^```$", re.DOTALL | re.MULTILINE)
STEP = re.compile(r"^\$ (.*)\n", re.MULTILINE)
TIME = re.compile(r"\d+ ms")


def steps(page: Path) -> list[tuple[str, str]]:
    """Commands of a page and what stands below each."""
    found = []
    for block in BLOCK.findall(page.read_text("utf-8")):
        _, *parts = STEP.split(block)
        found += list(zip(parts[::2], parts[1::2], strict=True))
    return found


def run(command: str) -> str:
    """What the command prints when it is run from the repository's root."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PATH": path}, check=False,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize(("command", "shown"), [s for page in PAGES for s in steps(page)])
def test_a_transcript_is_what_the_command_prints(command: str, shown: str) -> None:
    assert TIME.sub("N ms", run(command)) == TIME.sub("N ms", shown)


def test_each_tool_has_a_transcript() -> None:
    commands = " ".join(command for page in PAGES for command, _ in steps(page))
    for tool in ("rods score", "rods audit", "rods play", "rods envs check"):
        assert tool in commands


if __name__ == "__main__":  # writes the pages' transcripts anew
    for page in PAGES:
        text = page.read_text("utf-8")
        for block in BLOCK.findall(text):
            fresh = "".join(f"$ {c}\n{run(c)}" for c in STEP.split(block)[1::2])
            text = text.replace(block, fresh)
        page.write_text(text, "utf-8")
