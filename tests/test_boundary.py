"""Zones, causes of missing signal and the choice of parent tasks, exact to the last bit."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from functools import partial
from math import nextafter
from statistics import fmean, pvariance

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rods.curriculum.boundary import (
    LatestGroupRule,
    MeanRule,
    RandomRule,
    Standing,
    Thresholds,
    VarianceRule,
    Zone,
)
from rods.curriculum.selector import Selection, Selector
from rods.group import Group, Signal, signal_share

LIMITS = Thresholds(0.2, 0.85)
MEAN, VARIANCE = MeanRule(LIMITS), VarianceRule()
CATEGORIES = ["base", "miss_func", "miss_param"]
share = st.floats(0, 1)
rewards = st.lists(share, min_size=2, max_size=16).map(tuple)


def group(*values: float, task: str = "t", category: str = "base", step: int = 1) -> Group:
    return Group(task, category, values, epoch=0, step=step)


@given(st.integers(2, 64))
def test_limits_belong_to_the_boundary(size: int) -> None:
    assert LIMITS.zone(group(*[0.2] * size).mean) is Zone.BOUNDARY
    assert LIMITS.zone(group(*[0.85] * size).mean) is Zone.BOUNDARY
    assert LIMITS.zone(group(*[nextafter(0.2, 0)] * size).mean) is Zone.HARD
    assert LIMITS.zone(group(*[nextafter(0.85, 1)] * size).mean) is Zone.MASTERED


@given(rewards)
def test_zone_is_decided_by_the_mean(values: tuple[float, ...]) -> None:
    mean = group(*values).mean
    assert mean == pytest.approx(fmean(values), abs=1e-15)
    wanted = Zone.MASTERED if mean > 0.85 else Zone.HARD if mean < 0.2 else Zone.BOUNDARY
    assert LIMITS.zone(group(*values).mean) is wanted
    assert MEAN.judge(group(*values)).boundary == (wanted is Zone.BOUNDARY)


@given(share, st.integers(2, 64))
@example(1 / 3, 16)
@example(0.1, 10)
@example(0.7, 3)
def test_equal_rewards_teach_nothing(value: float, size: int) -> None:
    found = group(*[value] * size)
    assert found.variance == 0.0
    assert VARIANCE.judge(found) == Standing(value, 0.0, False, True)
    wanted = {0.0: Signal.ALL_FAILED, 1.0: Signal.ALL_SOLVED}.get(value, Signal.CONSTANT)
    assert found.signal is wanted


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 15), st.integers(0, 15))
def test_one_bit_of_difference_is_a_signal(value: float, size: int, at: int) -> None:
    values = [value] * size
    values.insert(at % (size + 1), nextafter(value, 1))
    found = group(*values)
    assert found.signal is Signal.SIGNAL
    assert VARIANCE.judge(found).boundary


def test_rewards_that_only_round_alike_are_not_constant() -> None:
    assert group(1 / 3, 1 - 2 / 3).signal is Signal.SIGNAL
    assert group(0.1 + 0.2, 0.3).signal is Signal.SIGNAL
    assert group(1 / 3, 1 / 3, 1 / 3).signal is Signal.CONSTANT


@given(rewards)
def test_variance_ranks_at_most_phi(values: tuple[float, ...]) -> None:
    found = group(*values)
    assert VARIANCE.judge(found).priority == 4 * pvariance(values)
    assert 0 <= VARIANCE.judge(found).priority <= MEAN.judge(found).priority + 1e-12
    assert MEAN.judge(found).priority <= 1


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=64))
def test_variance_equals_phi_where_rewards_are_binary(values: list[float]) -> None:
    found = group(*values)
    wanted = MEAN.judge(found).priority
    assert VARIANCE.judge(found).priority == pytest.approx(wanted, abs=1e-12)


@st.composite
def steps(draw: st.DrawFn) -> list[Group]:
    """The groups of a training step; few distinct rewards, so that priorities tie."""
    few = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=4, max_size=4)
    names = draw(st.lists(st.integers(0, 99), unique=True, max_size=20))
    return [
        group(*draw(few), task=f"{n:02}", category=draw(st.sampled_from(CATEGORIES)), step=20)
        for n in names
    ]


def fresh(rule: str) -> MeanRule | VarianceRule:
    return MeanRule(LIMITS) if rule == "mean" else VarianceRule()


def choose(
    groups: list[Group], rule: str, quota: int, last: dict[str, int], **options: bool
) -> Selection:
    selector = Selector(fresh(rule), quota, 5, **options)
    for found in groups:
        selector.rule.observe(found)
    return selector.select(groups, str, last, CATEGORIES)


@given(steps(), st.sampled_from(["mean", "variance"]), st.integers(1, 4), st.randoms())
def test_seeds_are_the_best_within_the_quota(
    groups: list[Group], rule: str, quota: int, rng: random.Random
) -> None:
    found = choose(groups, rule, quota, {})
    judge = fresh(rule).judge
    for category in CATEGORIES:
        fit = [g for g in groups if g.category == category and judge(g).boundary]
        fit.sort(key=lambda g: (-judge(g).priority, g.task_id))
        chosen = [s.task_id for s in found.parents if s.category == category]
        assert chosen == [g.task_id for g in fit[:quota]]
        assert found.unfilled.get(category, 0) == max(0, quota - len(fit))
    ranked = [(-s.priority, s.task_id) for s in found.parents]
    assert ranked == sorted(ranked)
    assert choose(rng.sample(groups, len(groups)), rule, quota, {}) == found


@given(steps(), st.integers(1, 4))
def test_places_that_a_category_cannot_fill_go_to_the_best_of_the_others(
    groups: list[Group], quota: int
) -> None:
    plain = choose(groups, "variance", quota, {})
    shared = choose(groups, "variance", quota, {}, redistribute=True)
    assert shared.unfilled == plain.unfilled
    fit = sum(not g.constant for g in groups)
    assert len(shared.parents) == min(fit, quota * len(CATEGORIES))
    assert set(plain.parents) <= set(shared.parents)
    left = [s for s in choose(groups, "variance", 99, {}).parents if s not in shared.parents]
    more = [s for s in shared.parents if s not in plain.parents]
    if left and more:
        assert max(s.priority for s in left) <= min(s.priority for s in more)


@given(steps(), st.data())
def test_a_cooling_task_is_passed_over(groups: list[Group], data: st.DataObject) -> None:
    last = {g.task_id: data.draw(st.integers(10, 20)) for g in groups if data.draw(st.booleans())}
    found = choose(groups, "variance", 99, last)
    fit = {g.task_id for g in groups if not g.constant}
    ready = {i for i in fit if i not in last or 20 - last[i] >= 5}
    assert {s.task_id for s in found.parents} == ready
    assert found.cooling == len(fit - ready)


@pytest.mark.parametrize("make", [partial(MeanRule, LIMITS), VarianceRule, partial(RandomRule, 7)])
@given(histories=st.lists(st.tuples(st.sampled_from("abcd"), rewards, st.booleans())))
def test_a_task_stands_where_its_latest_complete_group_put_it(
    make: Callable[[], LatestGroupRule], histories: list[tuple[str, tuple[float, ...], bool]]
) -> None:
    rule, wanted = make(), dict[str, Standing]()
    for step, (task, values, lost) in enumerate(histories):
        seen = Group(task, "base", values, 0, step, len(values) + lost)
        rule.observe(seen)
        if not lost:
            wanted[task] = rule.judge(seen)
    assert {task: rule.standing(task, 0) for task in "abcd"} == {t: wanted.get(t) for t in "abcd"}


def test_a_collection_of_garbage_walks_no_standings() -> None:
    rule = MeanRule(LIMITS)
    gc.collect()
    before = len(gc.get_objects())
    for number in range(1000):
        rule.observe(group(0.0, 1.0, task=f"task {number}"))
    gc.collect()
    assert len(gc.get_objects()) < before + 100


def test_an_incomplete_group_is_counted_and_chooses_nothing() -> None:
    torn = Group("t", "base", (0.0, 1.0), 0, 20, size=3)
    assert torn.signal is Signal.INCOMPLETE
    assert choose([torn], "variance", 4, {}).parents == ()
    assert Group("t", "base", (), 0, 1, size=2).signal is Signal.INCOMPLETE


def test_signal_share() -> None:
    assert signal_share([]) == 0.0
    assert signal_share([group(0.0, 1.0), group(0.5, 0.5), group(1.0, 1.0)]) == 1 / 3
