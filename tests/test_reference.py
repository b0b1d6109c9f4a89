"""The parts of the site that are made from the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from reference import commands, departures, settings, suites
from reference.errors import UndescribedError
from reference.pages import complete
from reference.site import LoadedError, require_offline
from rods.config import Config
from rods.presets import preset_names

LOOSE = re.compile(r"\bdeparture|\bnot in the paper|\bpaper (leaves|does not|publishes no)", re.I)


class Described(BaseModel):
    """A section."""

    size: int = Field(3, ge=1, lt=9, description="of a thing | or two")
    form: str | None = Field(None, description="of it")


class Bare(BaseModel):
    """A setting in it says nothing."""

    inner: Described = Described()
    size: int = 3


class Silent(BaseModel):
    size: int = Field(3, description="of a thing")


class Outer(BaseModel):
    """Holds them."""

    parts: tuple[Silent, ...] = Field((), description="in a list")


def paths(section: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from paths(value, f"{above}{name}.")
        else:
            yield above + name


def test_every_setting_is_listed_with_its_values_and_meaning() -> None:
    rows = {
        line.split("|")[1].strip(" `"): line for line in settings.text().splitlines() if "|" in line
    }
    assert {*paths(Config().model_dump(mode="json"))} <= {*rows}
    row = rows["rollout.group_size"]
    assert "| integer ≥ 2 | `16` |" in row and "`8`: comparison, micro" in row
    assert (
        "| `mean`, `variance`, `advantage`, `posterior`, `random` | `mean` |"
        in rows["boundary.rule"]
    )
    assert "[pool.md](pool.md)" in rows["boundary.rule"]
    assert "| required |" in rows["policy.model"]
    assert all(f"- `{name}`: " in settings.text() for name in preset_names())


def test_a_section_as_a_table() -> None:
    (section,) = settings.sections(Described, "thing")
    _, meaning, table = settings.described(section, {"thing.size": {"`5`": ["large"]}})
    assert meaning == "A section."
    assert table.splitlines()[2:] == [
        r"| `thing.size` | of a thing \| or two | integer ≥ 1, < 9 | `3` | `5`: large |",
        "| `thing.form` | of it | text or `null` | `null` |  |",
    ]


@pytest.mark.parametrize(
    ("model", "named"), [(Bare, "Bare.size has no description"), (Outer, "Silent has no docstring")]
)
def test_what_is_not_described_is_an_error(model: type[BaseModel], named: str) -> None:
    with pytest.raises(UndescribedError, match=named):
        settings.sections(model)


def test_commands_have_what_help_prints(rods) -> None:
    shown = rods("envs", "check", "--help").out.split()
    assert commands.shown("envs check").split() == shown
    assert [
        n for n in commands.names() if f"## {f'rods {n}'.strip()}\n" not in commands.text()
    ] == []


def test_a_module_says_what_departs_in_a_form_that_is_collected() -> None:
    found = {(d.module, d.beginning) for d in departures.departures()}
    assert ("rods.curriculum.admission", "Departure from the paper") in found
    assert {beginning for _, beginning in found} == {*departures.BEGINNINGS}
    for file in departures.FOLDER.rglob("*.py"):
        said = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
        loose = LOOSE.search(departures.SAID.sub("", said))
        assert not loose, f"{file}: begin a paragraph with one of {[*departures.BEGINNINGS]}"


def test_a_list_belongs_to_its_departure() -> None:
    text = "Rules.\n\nDeparture from the paper: two.\n\n- One.\n- Two.\n\nMore."
    assert departures.SAID.findall(text) == [("Departure from the paper", "two.\n\n- One.\n- Two.")]
    admission = departures.text().split("- **`rods.curriculum.admission`.** ")[1]
    assert admission.startswith("There variants are injected first")


def test_each_suite_says_what_it_shows(tmp_path: Path) -> None:
    row = "| `tests/test_reference.py` | The parts of the site that are made from the code. |"
    assert row in suites.text().splitlines()
    assert "| `benchmarks/kill_test.py` | " in suites.text()
    (tmp_path / "test_x.py").write_text("x = 1\n")
    with pytest.raises(UndescribedError, match="test_x"):
        suites.first_sentence(tmp_path / "test_x.py")


def test_a_page_is_completed_and_an_unknown_part_is_an_error() -> None:
    assert complete("# A\n\n<!-- reference: commands -->\n") == f"# A\n\n{commands.text()}\n"
    with pytest.raises(KeyError, match="nothing"):
        complete("<!-- reference: nothing -->")


@pytest.mark.parametrize(
    "text",
    [
        '<script async src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/css">',
        "<style>@import url('http://fonts.example/a.css')</style>",
        "<style>a { background: url(https://example.org/b.png) }</style>",
    ],
)
def test_a_site_that_loads_from_the_network_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.html").write_text('<a href="https://arxiv.org/abs/1">a</a> <img src="x.png">')
    require_offline(tmp_path)
    (tmp_path / "y.html").write_text(text)
    with pytest.raises(LoadedError, match=r"y\.html: "):
        require_offline(tmp_path)
