"""Plans, intervals, the table and the page."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages import Elements
from rods.errors import UserError
from rods.simulate.page import render
from rods.simulate.study import LARGE, SEEDS, Study, plan
from rods.simulate.summary import HEADER, Estimate, as_json, cells, difference, estimate, summarise

SMALL = (
    *("pool.seeds=16", "pool.p_max=8", "rollout.group_size=2", "rollout.tasks_per_step=8"),
    "world.heldout=20",
)
numbers = st.floats(-1e6, 1e6)


def small(**options: object) -> Study:
    return plan("simulate", SMALL, **{"steps": 6, "seeds": 3, **options})


def test_intervals_by_students_t() -> None:
    assert estimate([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2 - 2.48414, 2 + 2.48414), abs=1e-4)
    wide = estimate([0.0, 1.0])
    assert wide.high == pytest.approx(0.5 + 12.7062 * 0.5, abs=1e-3)
    assert estimate([4.0]) == Estimate(4.0)


@given(st.lists(numbers, min_size=2, max_size=8), numbers)
def test_differences_are_paired(values: list[float], shift: float) -> None:
    moved = [value + shift for value in values]
    found = difference(moved, values)
    assert found.mean == pytest.approx(shift, rel=1e-6, abs=1e-6)
    assert found.high - found.low == pytest.approx(0, abs=1e-3)
    with pytest.raises(ValueError, match="zip"):
        difference(values, values[1:])


def test_a_plan_is_a_grid_with_one_budget() -> None:
    study = plan(
        "simulate",
        ["learner.rate=0.1"],
        ["pool.beta=0.1,0.3", "rollout.group_size=8,16"],
        arms=["rods", "static"],
        steps=10,
    )
    names = [setup.name for setup in study.setups]
    assert names[0] == "rods beta=0.1 group_size=8"
    assert len(set(names)) == len(names) == 8
    assert {s.settings.learner.rate for s in study.setups} == {0.1}
    assert {(s.config.arm, s.config.pool.beta) for s in study.setups} == {
        (arm, beta) for arm in ("rods", "static") for beta in (0.1, 0.3)
    }
    assert study.trajectories == 10 * 32 * 16
    assert study.groups() == SEEDS * 4 * (10 + 20) * 32


def test_what_a_plan_fills_in() -> None:
    study = plan("simulate")
    assert [s.name for s in study.setups] == ["static", "rods"]
    assert study.seeds == range(SEEDS)
    assert study.trajectories == 240 * 32 * 16
    assert study.window == 12 * 32 * 16
    assert [s.name for s in plan("simulate", (), ["pool.beta=0.1"]).setups] == ["beta=0.1"]
    assert plan("simulate", epochs=3, seeds=2, seed=5).trajectories == 3 * study.window
    assert plan("simulate", epochs=3, seeds=2, seed=5).seeds == range(5, 7)
    large = plan("simulate", [f"pool.seeds={LARGE + 32}"])
    assert ([s.name for s in large.setups], len(large.seeds)) == (["rods"], 1)
    assert large.trajectories == large.window == (LARGE + 32) * 16


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"arms": ["dynamic"]}, "--arm dynamic"),
        ({"sweeps": ["pool.beta"]}, "--sweep pool.beta"),
        ({"sweeps": ["pool.beta="]}, "--sweep pool.beta="),
        ({"sweeps": ["steps=1,2"]}, "--steps"),
        ({"sweeps": ["seed=1,2"]}, "--seed"),
        ({"sweeps": ["pool.beta=0.1,2"]}, "pool.beta"),
        ({"overrides": ["learner.speed=1"]}, "learner.speed"),
    ],
)
def test_plans_that_make_no_sense(options: dict[str, list[str]], told: str) -> None:
    with pytest.raises(UserError, match=re.escape(told)):
        plan("simulate", **options)


def test_summary_table_and_json_agree() -> None:
    study = small(sweeps=["boundary.rule=mean,variance"], arms=["rods", "static"])
    results = [*study.run()]
    rows = summarise(results)
    told = as_json(rows, study)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert [c["name"] for c in told["configurations"]] == [s.name for s in study.setups]
    for result, found, row in zip(results, told["configurations"], cells(rows), strict=True):
        last = [curve[-1].mastered for curve in result.curves]
        assert found["final"]["mastered"]["values"] == last
        assert len(row) == len(HEADER)
        assert row[2].startswith(f"{sum(last) / 3:.0f}")
        assert len(found["curve"]["signal"]) == len(found["curve"]["trajectories"])
    one, two = (c["final"]["progress"]["values"] for c in told["configurations"][:2])
    mean = sum(b - a for a, b in zip(one, two, strict=True)) / 3
    assert told["configurations"][1]["differences"]["progress"]["mean"] == pytest.approx(
        mean, abs=2e-5
    )
    assert told["configurations"][0]["differences"] == {}


def test_progress_is_told_to_the_last_group() -> None:
    study, told = small(arms=["static", "rods"]), []
    assert len([*study.run(told.append)]) == 2
    assert sum(told) == study.groups()


def test_the_page_stands_alone() -> None:
    study = small(arms=["static", "rods"])
    page = render(summarise([*study.run()]), study)
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=.http", page)
    found = Elements(page)
    found.check_policy()
    assert [*found.sections] == ["signal", "progress", "mastered", "pool"]
    for (table,) in found.sections.values():
        assert table.rows[0] == ["trajectories", "static", "rods"]
        assert table.rows[-1][0] == f"{study.trajectories:,}"
    assert "±" in page
