"""rods simulate: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commandline import refused

SMALL = ["--tasks", 16, "--steps", 4, "--seeds", 2]
for setting in ("pool.p_max=8", "rollout.group_size=2", "rollout.tasks_per_step=8"):
    SMALL += ["--set", setting]


def test_json(rods) -> None:
    done = rods("simulate", *SMALL, "--seed", 3, "--json")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert (told["seeds"], told["trajectories"]) == ([3, 4], 4 * 8 * 2)
    assert [c["name"] for c in told["configurations"]] == ["static", "rods"]
    assert rods("simulate", *SMALL, "--seed", 3, "--json").out == done.out
    assert rods("simulate", *SMALL, "--seed", 5, "--json").out != done.out


def test_a_sweep_is_a_table_and_a_page(rods, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    sweep = ["--sweep", "pool.beta=0.1,0.5", "--sweep", "boundary.rule=mean,posterior"]
    done = rods("simulate", *SMALL, *sweep, "--out", page)
    assert done.code == 0
    assert done.out.count("beta=0.1") == done.out.count("rule=posterior") == 2
    assert str(page) in done.out.replace("\n", "")
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--arm", "dynamic"], "--arm dynamic"),
        (["--preset", "none"], "no preset 'none'"),
        (["--epochs", 2], "--epochs"),
        (["--set", "pool.beta=2"], "pool.beta"),
        (["--set", "world.tols=2"], "world.tols"),
        (["--set", "world.heldout=2:30"], "world.heldout"),
        (["--set", "learner.rate={a: 1, a: 2}"], "the key 'a' appears twice"),
        (["--sweep", "pool.beta"], "--sweep pool.beta"),
        (["--sweep", "pool.beta=0.1,,0.5"], "--sweep pool.beta=0.1,,0.5"),
        (["--out", "/nowhere/page.html"], "/nowhere/page.html"),
    ],
)
def test_refusals_take_one_line(rods, options: list[str], told: str) -> None:
    refused(rods("simulate", *SMALL, *options), told)
