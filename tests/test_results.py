"""RESULTS.md says what its raw results say, and they are drawn again by `rods compare --report`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from documented import ROOT
from rods.comparison.folder import read_results
from test_compare import experiment

RESULTS = ROOT / "results" / "comparison"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the results of the comparison, since a report writes a page beside them."""
    for path in RESULTS.glob("*.json"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_the_comparison_is_drawn_again(rods, folder: Path) -> None:
    shown = rods("compare", "--report", folder, "--json")
    assert shown.code == 0
    found = json.loads(shown.out)
    results = read_results(folder)
    assert found["side"] == "test" and found["arms"].keys() == {one.arm for one in results}
    for name, arm in found["arms"].items():
        assert arm["seeds"] == sum(one.arm == name for one in results)
        assert arm["complete"]["low"] < arm["complete"]["mean"] < arm["complete"]["high"]
    assert "fresh-static" in found["contrasts"]
    page = (folder / "report.html").read_text("utf-8")
    assert all(f'<th scope="row">{name}</th>' in page for name in found["arms"])


def test_its_tables_are_those_of_the_page(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert experiment("comparison_tables.py", folder, monkeypatch) == 0
    made = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    page = (ROOT / "RESULTS.md").read_text("utf-8").splitlines()
    assert len(made) > 12
    assert [line for line in made if line not in page] == []


def test_its_runs_have_the_same_budget(folder: Path) -> None:
    for one in read_results(folder):
        assert one.preset == "comparison"
        assert one.curve[-1].step == one.steps == 320
