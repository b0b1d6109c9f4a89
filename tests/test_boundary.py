"""Zones, causes of silence and the choice of seeds, down to the last bit of a float."""

from __future__ import annotations

import random
from collections import Counter
from math import nextafter
from statistics import fmean, pvariance

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rods.boundary import (
    Group,
    MeanRule,
    Signal,
    Thresholds,
    VarianceRule,
    Zone,
    make_rule,
    select_seeds,
    signal_share,
    zone,
)

LIMITS = Thresholds(0.2, 0.85)
MEAN, VARIANCE = MeanRule(LIMITS), VarianceRule()
share = st.floats(0, 1)
rewards = st.lists(share, min_size=2, max_size=16).map(tuple)


def group(*values: float, task: str = "t", category: str = "base", step: int = 1) -> Group:
    return Group(task, category, values, epoch=0, step=step)


@given(st.integers(2, 64))
def test_limits_belong_to_the_boundary(size: int) -> None:
    assert zone(group(*[0.2] * size), LIMITS) is Zone.BOUNDARY
    assert zone(group(*[0.85] * size), LIMITS) is Zone.BOUNDARY
    assert zone(group(*[nextafter(0.2, 0)] * size), LIMITS) is Zone.HARD
    assert zone(group(*[nextafter(0.85, 1)] * size), LIMITS) is Zone.MASTERED


@given(rewards)
def test_zone_is_decided_by_the_mean(values: tuple[float, ...]) -> None:
    mean = group(*values).mean
    assert mean == pytest.approx(fmean(values), abs=1e-15)
    wanted = Zone.MASTERED if mean > 0.85 else Zone.HARD if mean < 0.2 else Zone.BOUNDARY
    assert zone(group(*values), LIMITS) is wanted
    assert MEAN.at_boundary(group(*values)) == (wanted is Zone.BOUNDARY)


@given(share, st.integers(2, 64))
@example(1 / 3, 16)
@example(0.1, 10)
@example(0.7, 3)
def test_equal_rewards_teach_nothing(value: float, size: int) -> None:
    found = group(*[value] * size)
    assert found.variance == 0.0
    assert VARIANCE.priority(found) == 0.0
    assert not VARIANCE.at_boundary(found)
    wanted = {0.0: Signal.ALL_FAILED, 1.0: Signal.ALL_SOLVED}.get(value, Signal.CONSTANT)
    assert found.signal is wanted


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 15), st.integers(0, 15))
def test_one_bit_of_difference_is_a_signal(value: float, size: int, at: int) -> None:
    values = [value] * size
    values.insert(at % (size + 1), nextafter(value, 1))
    found = group(*values)
    assert found.signal is Signal.SIGNAL
    assert VARIANCE.at_boundary(found)


def test_rewards_that_only_round_alike_are_not_constant() -> None:
    assert group(1 / 3, 1 - 2 / 3).signal is Signal.SIGNAL
    assert group(0.1 + 0.2, 0.3).signal is Signal.SIGNAL
    assert group(1 / 3, 1 / 3, 1 / 3).signal is Signal.CONSTANT


@given(rewards)
def test_variance_ranks_at_most_phi(values: tuple[float, ...]) -> None:
    found = group(*values)
    assert VARIANCE.priority(found) == 4 * pvariance(values)
    assert 0 <= VARIANCE.priority(found) <= MEAN.priority(found) + 1e-12
    assert MEAN.priority(found) <= 1


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=64))
def test_variance_equals_phi_where_rewards_are_binary(values: list[float]) -> None:
    found = group(*values)
    assert VARIANCE.priority(found) == pytest.approx(MEAN.priority(found), abs=1e-12)


def test_rules_by_name() -> None:
    assert make_rule("mean", LIMITS) == MEAN
    assert make_rule("variance", LIMITS) == VARIANCE
    assert (MEAN.name, VARIANCE.name) == ("mean", "variance")


@st.composite
def steps(draw: st.DrawFn) -> list[Group]:
    """The groups of a training step; few distinct rewards, so that priorities tie."""
    few = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=4, max_size=4)
    categories = ["base", "miss_func", "miss_param"]
    names = draw(st.lists(st.integers(0, 99), unique=True, max_size=20))
    return [
        group(*draw(few), task=f"{n:02}", category=draw(st.sampled_from(categories)), step=20)
        for n in names
    ]


@given(steps(), st.sampled_from([MEAN, VARIANCE]), st.integers(1, 4), st.randoms())
def test_seeds_are_the_best_within_the_quota(
    groups: list[Group], rule: MeanRule | VarianceRule, quota: int, rng: random.Random
) -> None:
    chosen = select_seeds(groups, rule, quota, {}, 5)
    for category, taken in Counter(g.category for g in groups).items():
        fit = [g for g in groups if g.category == category and rule.at_boundary(g)]
        fit.sort(key=lambda g: (-rule.priority(g), g.task_id))
        assert [g for g in chosen if g.category == category] == fit[:quota]
        assert len(fit[:quota]) <= min(quota, taken)
    assert chosen == sorted(chosen, key=lambda g: (-rule.priority(g), g.task_id))
    shuffled = rng.sample(groups, len(groups))
    assert select_seeds(shuffled, rule, quota, {}, 5) == chosen


@given(steps(), st.integers(0, 6), st.data())
def test_a_cooling_task_is_passed_over(groups: list[Group], cooldown: int, data) -> None:
    last = {g.task_id: data.draw(st.integers(10, 20)) for g in groups if data.draw(st.booleans())}
    chosen = {g.task_id for g in select_seeds(groups, VARIANCE, 99, last, cooldown)}
    ready = {
        g.task_id
        for g in groups
        if not g.constant and (g.task_id not in last or 20 - last[g.task_id] >= cooldown)
    }
    assert chosen == ready


def test_signal_share() -> None:
    assert signal_share([]) == 0.0
    assert signal_share([group(0.0, 1.0), group(0.5, 0.5), group(1.0, 1.0)]) == 1 / 3
