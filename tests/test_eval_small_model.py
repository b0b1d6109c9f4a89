"""`rods eval` against a real model behind a real server. It is too small to solve tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rods.evaluation.episodes import read_rows
from small_model import served, weights

pytestmark = pytest.mark.slow
OWN = ("--env", "examples.clinic.tools:Clinic", "--tasks", "examples/clinic/tasks.yaml")


def test_a_model_without_a_template_for_tools(rods, tmp_path: Path) -> None:
    """It is refused with the way out, and this way leads to episodes that can be scored."""
    out = tmp_path / "out"
    with served(slots=1) as url:
        asked = ("eval", "--endpoint", url, "--model", "SmolLM2-135M", *OWN, "--out", out)
        asked = (*asked, "--limit", 1, "--max-tokens", 24, "--concurrency", 1, "--attempts", 2)
        done = rods(*asked)
        assert done.code == 2 and not out.exists()
        assert "with the tools and without them" in done.err and "--dialect prompt" in done.err
        asked = (*asked, "--dialect", "prompt", "--tool-docs", "short", "--examples", 2)
        done = rods(*asked, "--weights", weights(), "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["results"]["overall"]["tokens_out"] > 10
    assert len(found["identity"]["agent"]["weights_sha256"]) == 64
    kept = {row.task: row.progress for row in read_rows(out / "episodes.jsonl")}
    scored = rods("score", out / "episodes.jsonl", *OWN, "--json").out.splitlines()
    assert {row["task"]: row["progress"] for row in map(json.loads, scored)} == kept
