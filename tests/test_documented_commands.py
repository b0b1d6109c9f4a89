"""Each command in the README and the docs exists, with the options that it is given."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from commandline import call

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "RESULTS.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = re.compile(r"^```\w*\n(.*?)^```$|^ {4}( *\S[^\n]*\n)", re.DOTALL | re.MULTILINE)
LINE = re.compile(r"^(?:\$ )?((?:rods|python|make) [^\n]*)$", re.MULTILINE)


def commands() -> dict[str, str]:
    """Command line -> the first page that has it. Lines that end with a backslash are joined."""
    found: dict[str, str] = {}
    for page in PAGES:
        blocks = CODE.findall(page.read_text("utf-8"))
        code = "".join(fenced + indented for fenced, indented in blocks)
        for line in LINE.findall(re.sub(r"\\\n\s*", "", code)):
            found.setdefault(re.split(r" +# | \| ", line)[0].strip(), page.name)
    return found


def of(program: str) -> list[str]:
    return sorted(line for line in commands() if line.startswith(f"{program} "))


@pytest.mark.parametrize("line", of("rods"))
def test_commands_of_rods(line: str, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    arguments = shlex.split(line.split(" > ")[0].split(" && ")[0])[1:]
    if "<" in arguments:
        arguments = arguments[: arguments.index("<")]
    assert call(monkeypatch, *arguments, "--help") == 0, capsys.readouterr().err


@pytest.mark.parametrize("line", of("python"))
def test_scripts(line: str) -> None:
    _, script, *rest = shlex.split(line)
    if script in ("-m", "-c"):
        return
    source = (ROOT / script).read_text("utf-8")
    for option in (part.split("=")[0] for part in rest if part.startswith("--")):
        assert f'"{option}"' in source, option


@pytest.mark.parametrize("line", of("make"))
def test_make_targets(line: str) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in (part for part in shlex.split(line)[1:] if "=" not in part):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
