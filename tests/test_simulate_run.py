"""Whole simulated runs, over the real loop."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rods.group import Signal
from rods.presets import load_config
from rods.simulate.items import as_task
from rods.simulate.measures import Point
from rods.simulate.settings import Settings
from rods.simulate.simulation import Simulation, simulate

STEP = 4 * 8  # trajectories
SMALL = ("pool.seeds=24", "pool.p_max=24", "rollout.group_size=4", "rollout.tasks_per_step=8")
KNOWN = Settings(world={"heldout": 50})
arms = st.sampled_from(["static", "rods", "fresh"])
rules = st.sampled_from(["mean", "variance", "posterior", "random"])


def run(
    *overrides: str, arm: str = "rods", seed: int = 0, steps: int = 24, known: Settings = KNOWN
) -> list[Point]:
    config = load_config("simulate", [*SMALL, *overrides], arm=arm, seed=seed)
    return list(simulate(config, known, steps * STEP, 3 * STEP))


@settings(max_examples=12)
@given(arms, rules, st.integers(0, 5))
def test_the_same_seed_gives_the_same_run(arm: str, rule: str, seed: int) -> None:
    one, two, other = (
        run(f"boundary.rule={rule}", arm=arm, seed=s, steps=12) for s in (seed, seed, seed + 1)
    )
    assert str(one) == str(two)  # the first point has shares that are not a number
    assert str(one) != str(other)


@settings(max_examples=12)
@given(arms, rules, st.integers(1, 14))
def test_a_run_keeps_to_its_budget(arm: str, rule: str, steps: int) -> None:
    curve = run(f"boundary.rule={rule}", arm=arm, steps=steps)
    spent = [point.trajectories for point in curve]
    assert spent == [*range(0, steps * STEP, 3 * STEP), steps * STEP]
    for point in curve[1:]:
        causes = point.signal + point.solved + point.failed + point.constant
        assert causes == pytest.approx(1)
        assert 0 <= point.complete <= point.progress <= 1
        assert 0 <= point.reward <= 1


@pytest.mark.parametrize("arm", ["static", "rods", "fresh"])
def test_held_out_tasks_stay_out(tmp_path: Path, arm: str) -> None:
    config = load_config("simulate", SMALL, arm=arm)
    simulation = Simulation(config, KNOWN, tmp_path, 3 * STEP)
    simulation.run(20 * STEP)
    known = simulation.store.tasks()
    simulation.store.close()
    held_out = {as_task(row, simulation.world.categories).id for row in simulation.world.heldout}
    assert len(held_out) == KNOWN.world.heldout
    assert len(known) > (24 if arm != "static" else 23)
    assert not held_out & set(known)


def test_the_store_holds_what_the_curve_tells(tmp_path: Path) -> None:
    simulation = Simulation(load_config("simulate", SMALL), KNOWN, tmp_path, 3 * STEP)
    curve = simulation.run(21 * STEP)
    groups, events = simulation.store.groups(), simulation.store.events()
    simulation.store.close()
    assert len(groups) == 21 * 8
    last = [g for g in groups if g.step > 18]
    assert curve[-1].signal == pytest.approx(sum(g.signal is Signal.SIGNAL for g in last) / 24)
    assert curve[-1].reward == pytest.approx(sum(sum(g.rewards) for g in last) / (24 * 4))
    kinds = [event.kind for event in events]
    assert curve[-1].injected == kinds.count("injected") > 0
    assert sum(curve[-1].retired.values()) == kinds.count("retired")
    assert curve[-1].pool == 24 + curve[-1].generated


@pytest.mark.parametrize(("rule", "steps"), [("mean", 60), ("posterior", 120)])
def test_a_static_set_runs_dry_and_a_moving_pool_less(rule: str, steps: int) -> None:
    """Over the later half: a window has 24 groups. In long runs the mean rule falls silent."""

    def later(curve: list[Point]) -> float:
        return fmean(point.signal for point in curve[len(curve) // 2 :])

    for seed in range(5):
        static, moving = (
            run(f"boundary.rule={rule}", arm=arm, seed=seed, steps=steps)
            for arm in ("static", "rods")
        )
        assert later(static) < static[1].signal - 0.2
        assert later(moving) > later(static) + 0.05
        assert static[-1].seeds_mastered > static[0].seeds_mastered
        assert static[-1].progress > static[0].progress


def test_without_variants_the_pool_is_the_static_set() -> None:
    assert str(run("pool.p_max=0")) == str(run(arm="static"))


def test_no_signal_no_learning() -> None:
    """Tasks that are all out of reach teach nothing, however long they are trained on."""
    curve = run(known=Settings(world={"heldout": 50, "level": -20.0, "task_spread": 0.0}))
    assert {point.signal for point in curve[1:]} == {0.0}
    assert len({point.progress for point in curve}) == 1


def test_late_variants_come_late() -> None:
    def first(latency: int) -> int:
        known = Settings(world={"heldout": 50}, variants={"latency": latency})
        curve = run("pool.p_max=400", known=known, steps=30)
        return next(place for place, point in enumerate(curve) if point.injected)

    assert [first(latency) for latency in (0, 1, 2)] == [1, 2, 3]


def test_a_binary_reward_leaves_no_group_in_between() -> None:
    curve = run("stages=[{reward: binary}]")
    assert {point.constant for point in curve[1:]} == {0.0}
    assert any(point.constant for point in run()[1:])
