"""The posterior rule against its urn model, and what it remembers and forecasts."""

from __future__ import annotations

import random
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import make_config
from rods.curriculum.boundary import MeanRule, RandomRule, Standing, VarianceRule
from rods.curriculum.curriculum import make_rule
from rods.curriculum.posterior import PRIOR, PosteriorRule
from rods.group import Group

K = 16
graded = st.lists(st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0]), min_size=2, max_size=32)


def seen(*looks: tuple[float, ...], memory: float = 0.5, task: str = "t") -> PosteriorRule:
    """A rule that saw a group of one task in each epoch."""
    rule = PosteriorRule(K, memory)
    for epoch, values in enumerate(looks):
        rule.observe(Group(task, "base", values, epoch, epoch + 1))
    return rule


def standing(rule: PosteriorRule, epoch: int, task: str = "t") -> Standing:
    found = rule.standing(task, epoch)
    assert found is not None
    return found


def urn(values: list[float]) -> dict[float, float]:
    weights = {0.0: PRIOR, 1.0: PRIOR}
    for value in values:
        weights[value] = weights.get(value, 0.0) + 1
    return weights


@given(graded)
def test_expectations_are_those_of_drawing_from_the_urn(values: list[float]) -> None:
    weights, found = urn(values), standing(seen(tuple(values)), 0)
    total = sum(weights.values())
    assert found.mean == pytest.approx(sum(w * v for v, w in weights.items()) / total)
    # Half the expected square of the difference of two draws, the second after the first is noted.
    variance = sum(
        0.5 * (a - b) ** 2 * w / total * (weights[b] + (a == b)) / (total + 1)
        for a, w in weights.items()
        for b in weights
    )
    assert found.priority == pytest.approx(4 * variance, abs=1e-12)
    assert 0 <= found.priority <= 1
    constant = sum(prod((w + i) / (total + i) for i in range(K)) for w in weights.values())
    assert found.no_signal == (1 - constant < 0.5)
    assert found.boundary == (not found.no_signal)


def test_one_lucky_group_does_not_make_a_task_silent() -> None:
    half, solved = (0.0, 1.0) * 8, (1.0,) * K
    assert standing(seen(solved), 0).no_signal
    assert not standing(seen(half, solved), 1).no_signal
    assert standing(seen(half, solved, solved, solved), 3).no_signal
    latest = VarianceRule()
    for epoch, values in enumerate((half, solved)):
        latest.observe(Group("t", "base", values, epoch, epoch + 1))
    assert latest.standing("t", 1).no_signal  # type: ignore[union-attr]


def test_constant_in_between_is_silent_whatever_its_mean() -> None:
    found = standing(seen((0.5,) * K), 0)
    assert found.mean == pytest.approx(0.5)
    assert found.no_signal
    assert found.priority < 0.1


def test_old_evidence_fades() -> None:
    rule = seen((0.0,) * K)
    sure = standing(rule, 0)
    later = [standing(rule, epoch) for epoch in range(1, 9)]
    assert sure.no_signal
    assert not later[-1].no_signal
    means = [sure.mean, *(s.mean for s in later)]
    assert means == sorted(means)
    never = standing(seen((0.0,) * K, memory=1.0), 8)
    assert never == sure


def test_a_task_that_is_not_seen_is_forecast_by_the_drift_of_its_category() -> None:
    rule = seen((0.25,) * 4 + (0.5,) * 12, memory=1.0, task="unseen")
    for epoch in range(4):  # others close a fifth of what they lack an epoch
        for i in range(20):
            mean = 1 - 0.8**epoch * (0.3 + i / 40)
            rule.observe(Group(f"o{i}", "base", (mean,) * K, epoch, epoch + 1))
    assert rule._drift["base"].share == pytest.approx(0.2, abs=1e-6)
    now, later = standing(rule, 0, "unseen"), standing(rule, 2, "unseen")
    gap = (1 - later.mean) / (1 - now.mean)
    assert gap == pytest.approx(0.8**2, abs=0.02)  # the prior is not moved
    assert rule.standing("o0", 3) != rule.standing("o0", 5)
    assert rule.standing("another", 3) is None


def test_forgetting_is_forecast_too() -> None:
    rule = seen((1.0,) * K, memory=1.0, task="unseen")
    for epoch in range(3):
        rule.observe(Group("o", "base", (0.8 * 0.9**epoch,) * K, epoch, epoch + 1))
    assert rule._drift["base"].share == pytest.approx(-0.1, abs=1e-6)
    assert standing(rule, 3, "unseen").mean < standing(rule, 0, "unseen").mean


def test_rollouts_of_an_incomplete_group_count() -> None:
    rule = PosteriorRule(K, 0.5)
    rule.observe(Group("t", "base", (1.0,) * 4, 0, 1, size=K))
    assert standing(rule, 0).mean == pytest.approx((4 + PRIOR) / (4 + 2 * PRIOR))
    rule.observe(Group("u", "base", (), 0, 1, size=K))
    assert rule.standing("u", 0) is None
    latest = VarianceRule()
    latest.observe(Group("t", "base", (1.0,) * 4, 0, 1, size=K))
    assert latest.standing("t", 0) is None


@given(st.lists(st.tuples(st.integers(0, 3), graded), max_size=8), st.integers(0, 4))
def test_any_history_gives_shares(looks: list[tuple[int, list[float]]], ahead: int) -> None:
    rule = PosteriorRule(K, 0.5)
    for epoch, (task, values) in enumerate(looks):
        rule.observe(Group(str(task), "base", tuple(values), epoch, epoch + 1))
    for task in {str(task) for task, _ in looks}:
        found = standing(rule, len(looks) + ahead, task)
        assert 0 <= found.mean <= 1
        assert 0 <= found.priority <= 1
        assert found.boundary != found.no_signal


def test_rules_by_name() -> None:
    rules = [make_rule(make_config(boundary={"rule": n})) for n in ("mean", "variance")]
    assert [type(rule) for rule in rules] == [MeanRule, VarianceRule]
    posterior = make_rule(make_config(boundary={"rule": "posterior", "memory": 0.25}))
    assert isinstance(posterior, PosteriorRule)
    assert (posterior.size, posterior.memory) == (2, 0.25)
    drawn = make_rule(make_config(boundary={"rule": "random"}, seed=7))
    assert isinstance(drawn, RandomRule)
    assert drawn.seed == 7


def test_random_priorities_hang_on_seed_step_and_task_alone() -> None:
    def priorities(seed: int, step: int, order: list[int]) -> dict[int, float]:
        rule = RandomRule(seed)
        for i in order:
            rule.observe(Group(str(i), "base", (1.0, 1.0), 0, step))
        return {i: rule.standing(str(i), 0).priority for i in order}  # type: ignore[union-attr]

    order = list(range(200))
    shuffled = random.Random(1).sample(order, 200)
    first = priorities(1, 1, order)
    assert first == priorities(1, 1, shuffled)
    assert first != priorities(2, 1, order)
    assert first != priorities(1, 2, order)
    assert 0.4 < sum(first.values()) / 200 < 0.6
