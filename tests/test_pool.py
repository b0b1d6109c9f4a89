"""The pool's lifecycle under random histories, and each verdict by name."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import floor
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from doubles import make_config
from rods.config import PoolConfig
from rods.curriculum.admission import Admission
from rods.curriculum.boundary import BoundaryRule, MeanRule, Thresholds, VarianceRule
from rods.curriculum.curriculum import make_rule
from rods.curriculum.pool import Event, Pool, fold
from rods.curriculum.retirement import Retirement
from rods.curriculum.sampling import sample
from rods.group import Group
from rods.store.schema import Candidate

KINDS = ("base", "miss_func")
pools = st.builds(
    PoolConfig,
    beta=st.sampled_from([0.0, 0.07, 0.2, 0.5, 1.0]),
    p_max=st.integers(0, 4),
    burn_in=st.sampled_from([0.0, 0.2]),
    stale_epochs=st.sampled_from([None, 1, 2]),
    rest_epochs=st.integers(0, 2),
    floor=st.integers(0, 3),
)
rewards = st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 2)


class Lifecycle(RuleBasedStateMachine):
    """Epochs with any rewards and any candidates."""

    @initialize(
        config=pools, name=st.sampled_from(["mean", "variance", "posterior", "random"]),
        seeds=st.integers(2, 6),
    )  # fmt: skip
    def begin(self, config: PoolConfig, name: str, seeds: int) -> None:
        self.config = config
        self.rule = make_rule(make_config(boundary={"rule": name}))
        self.retirement, self.admission = (
            Retirement(config, self.rule),
            Admission(config, self.rule),
        )
        self.pool, self.epoch, self.step, self.made = Pool(), 0, 0, 0
        self.allowed, self.injected = Fraction(0), 0
        self.history: list[Event] = []
        self.kinds = {f"s{i}": KINDS[i % 2] for i in range(seeds)}
        self.groups: list[Group] = []
        self.take([Event(0, 0, i, "seeded") for i in self.kinds])

    def take(self, events: list[Event]) -> None:
        for event in events:
            self.pool.apply(event, self.kinds[event.task_id])
        self.history += events

    @rule(data=st.data())
    def train(self, data: st.DataObject) -> None:
        self.step += 1
        ids = sample(self.pool, 1, frozenset(KINDS), self.epoch, Random(self.step))
        groups = []
        for i in ids:
            if data.draw(st.integers(0, 3)):
                size = data.draw(st.sampled_from([2, 2, 2, 3]))  # of 3 rollouts one was lost
                values = data.draw(rewards)
                groups.append(Group(i, self.kinds[i], values, self.epoch, self.step, size))
        for group in groups:
            self.rule.observe(group)
        self.pool.observe(groups)
        self.retirement.observe(groups, self.pool)
        self.groups += groups

    @rule(waiting=st.integers(0, 6))
    def end_epoch(self, waiting: int) -> None:
        self.step += 1
        live = set(self.pool.live)
        gone = self.retirement.end(self.pool, self.step, self.epoch)
        assert self.pool.live.keys() == live, "it only proposes"
        self.take(gone)
        ids = [f"m{self.made + i}" for i in range(waiting)]
        self.made += waiting
        self.kinds |= {i: KINDS[int(i[1:]) % 2] for i in ids}
        candidates = [Candidate(i, next(iter(self.pool.entries)), self.kinds[i]) for i in ids]
        members = len(self.pool.live) + len(self.pool.resting)
        room = self.admission.room(self.pool)
        carried, most = self.admission.carried, self.admission.wanted(self.pool)
        assert room <= most <= self.config.p_max
        came = self.admission.admit(self.pool, candidates, self.step, self.epoch)
        injected = [e for e in came if e.kind == "injected"]
        allowed = self.admission.beta * members
        assert len(injected) == min(room, waiting) <= floor(carried + allowed)
        assert self.admission.carried == (carried + allowed) % 1
        self.allowed, self.injected = self.allowed + allowed, self.injected + len(injected)
        assert self.injected <= self.allowed
        assert self.admission.refused == waiting - len(injected)
        for event in came:
            self.take([event])
            assert self.pool.generated <= self.config.p_max
        pruned = [e for e in came if e.reason == "pruned"]
        assert all(self.pool.entries[e.task_id].seen >= 0 for e in pruned), "an untried one went"
        self.check_floor(live, [*gone, *came])
        self.epoch += 1

    def check_floor(self, before: set[str], events: list[Event]) -> None:
        had = Counter(self.kinds[i] for i in before)
        has = Counter(self.kinds[i] for i in self.pool.live)
        for kind in KINDS:
            lost = any(
                e.kind in ("retired", "rested") and self.kinds[e.task_id] == kind for e in events
            )
            assert has[kind] >= min(had[kind], self.config.floor) or not lost

    @invariant()
    def promises(self) -> None:
        originals = {i for i in self.kinds if i[0] == "s"}
        states = {i: e.state for i, e in self.pool.entries.items()}
        assert originals <= states.keys()
        assert not [i for i in originals if states[i] == "retired"]
        assert set(self.pool.live) == {i for i, s in states.items() if s in ("trial", "active")}
        assert set(self.pool.resting) == {i for i, s in states.items() if s == "resting"}
        joined = Counter(e.task_id for e in self.history if e.kind in ("seeded", "injected"))
        assert set(joined.values()) <= {1}
        assert self.pool.generated == sum(i[0] == "m" for i in self.pool.live) <= self.config.p_max
        assert self.pool.size == Counter(self.kinds[i] for i in self.pool.live)

    @invariant()
    def events_rebuild_the_state(self) -> None:
        again = fold(self.history, self.kinds)
        again.observe(self.groups)
        assert again == self.pool


Lifecycle.TestCase.settings = settings(
    max_examples=60, stateful_step_count=16, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
TestLifecycle = Lifecycle.TestCase

MEAN, VARIANCE = "mean", "variance"


def a_rule(name: str) -> BoundaryRule:
    return MeanRule(Thresholds()) if name == MEAN else VarianceRule()


class Desk:
    """A pool of some originals and one generated task on trial, since epoch 1."""

    def __init__(self, name: str = VARIANCE, **settings: object) -> None:
        self.rule, self.config = a_rule(name), PoolConfig(**settings)
        self.retirement = Retirement(self.config, self.rule)
        self.pool = fold([Event(0, 0, f"s{i}", "seeded") for i in range(3)], dict.fromkeys(
            ("s0", "s1", "s2"), "base"))  # fmt: skip
        self.pool.apply(Event(2, 1, "made", "injected", "s0"), "base")

    def see(self, task: str, values: tuple[float, ...], epoch: int = 1) -> None:
        group = Group(task, "base", values, epoch, 3)
        self.rule.observe(group)
        self.pool.observe([group])
        self.retirement.observe([group], self.pool)

    def end(self, epoch: int = 1) -> list[tuple[str, str, str]]:
        found = self.retirement.end(self.pool, 4, epoch)
        for event in found:
            self.pool.apply(event)
        return [(e.task_id, e.kind, e.reason) for e in found]


def verdict(values: tuple[float, ...], name: str, passed: bool = False, **settings: object):
    """What becomes of the generated task whose group in epoch 1 has these rewards."""
    desk = Desk(name, **settings)
    if passed:
        desk.pool.apply(Event(3, 1, "made", "passed"))
    desk.see("made", values)
    return [(kind, reason) for _, kind, reason in desk.end()]


@pytest.mark.parametrize(
    ("values", "mean", "variance"),
    [
        ((1.0, 1.0), ("retired", "mastered"), ("retired", "mastered")),
        ((0.9, 1.0), ("passed", ""), ("passed", "")),
        ((0.5, 0.5), ("passed", ""), ("retired", "no signal")),
        ((0.0, 1.0), ("passed", ""), ("passed", "")),
        ((0.0, 0.3), ("retired", "failed burn-in"), ("retired", "failed burn-in")),
        ((0.2, 0.2), ("passed", ""), ("retired", "no signal")),
    ],
)
def test_verdicts_on_trial(values, mean, variance) -> None:
    assert verdict(values, MEAN) == [mean]
    assert verdict(values, VARIANCE) == [variance]


@pytest.mark.parametrize("name", [MEAN, VARIANCE])
def test_whether_tasks_without_signal_retire_can_be_set(name: str) -> None:
    half = (0.5, 0.5)
    assert verdict(half, name, retire_no_signal=True) == [("retired", "no signal")]
    assert verdict(half, name, retire_no_signal=False) == [("passed", "")]
    assert verdict((0.0, 1.0), name, retire_no_signal=True) == [("passed", "")]
    assert verdict((1.0, 1.0), name, retire_no_signal=False) == [("retired", "mastered")]


@pytest.mark.parametrize("name", [MEAN, VARIANCE])
def test_verdicts_after_burn_in(name: str) -> None:
    assert verdict((0.0, 0.3), name, passed=True) == [("retired", "too hard")]
    assert verdict((0.0, 0.3), name, passed=True, hard=0.1) == []
    assert verdict((0.0, 0.9), name, passed=True, stale_epochs=1) == [("retired", "stale")]
    assert verdict((0.0, 0.9), name, passed=True, stale_epochs=2) == []
    assert verdict((0.0, 0.3), name, burn_in=0.1, hard=0.1) == [("passed", "")]


def test_a_task_that_was_not_seen_is_not_judged() -> None:
    desk = Desk(rest_epochs=2)
    assert desk.end() == []
    desk.retirement.observe([Group("made", "base", (0.0,), 1, 3, size=2)], desk.pool)
    assert desk.end() == [], "an incomplete group judges nothing"


def test_the_latest_group_of_an_epoch_decides() -> None:
    desk = Desk()
    desk.see("made", (1.0, 1.0))
    desk.see("made", (0.0, 1.0))
    assert desk.end() == [("made", "passed", "")]


def test_originals_rest_are_examined_and_rest_longer_while_nothing_is_forgotten() -> None:
    desk, told = Desk(MEAN, rest_epochs=1), []
    for epoch in range(1, 14):
        if "s0" in desk.pool.live:
            desk.see("s0", (1.0, 1.0), epoch)
        told += [(epoch, kind, reason) for i, kind, reason in desk.end(epoch) if i == "s0"]
    rested = [epoch for epoch, kind, _ in told if kind == "rested"]
    woken = [epoch for epoch, kind, _ in told if kind == "woken"]
    assert {reason for _, kind, reason in told if kind == "rested"} == {"mastered"}
    assert [w - r for r, w in zip(rested, woken, strict=False)] == [1, 2, 4]


def test_forgetting_is_noticed() -> None:
    desk = Desk(MEAN, rest_epochs=1)
    desk.see("s0", (1.0, 1.0), 1)
    desk.see("s1", (0.0, 0.0), 1)
    assert {(i, k, r) for i, k, r in desk.end(1)} == {
        ("s0", "rested", "mastered"),
        ("s1", "rested", "too hard"),
    }
    assert desk.end(2) == [("s0", "woken", "mastered"), ("s1", "woken", "too hard")]
    desk.see("s0", (0.0, 1.0), 3)
    desk.see("s1", (0.0, 1.0), 3)
    assert desk.end(3) == [("s0", "passed", "forgotten"), ("s1", "passed", "within reach")]
    assert desk.pool.entries["s0"].rests == 0


def test_originals_do_not_rest_unless_told() -> None:
    desk = Desk(rest_epochs=0)
    for seed in ("s0", "s1", "s2"):
        desk.see(seed, (0.0, 0.0))
    assert desk.end() == []


def test_the_floor_keeps_the_most_valuable() -> None:
    desk = Desk(floor=3, rest_epochs=1)
    desk.pool.apply(Event(3, 1, "made", "passed"))
    desk.see("made", (0.0, 0.1))  # too hard, but with some variance
    desk.see("s0", (1.0, 1.0))
    desk.see("s1", (0.0, 0.0))
    assert desk.end() == [("s0", "rested", "mastered")]
    assert desk.retirement.kept == {"base": 2}
    assert len(desk.pool.live) == 3


def test_the_least_valuable_make_room_and_untried_ones_stay() -> None:
    desk = Desk(p_max=4, beta=1.0)
    for i, values in enumerate([(0.0, 1.0), (0.5, 0.5), (0.2, 0.8)]):
        desk.pool.apply(Event(2, 1, f"m{i}", "injected", "s0"), "base")
        desk.see(f"m{i}", values)
    admission = Admission(desk.config, desk.rule)
    waiting = [Candidate(f"new{i}", "s0", "base") for i in range(5)]
    found = admission.admit(desk.pool, waiting, 4, 1)
    pruned = [e.task_id for e in found if e.reason == "pruned"]
    injected = [e.task_id for e in found if e.kind == "injected"]
    assert pruned == ["m1", "m2", "m0"], "by priority; the untried one is not among them"
    assert injected == ["new0", "new1", "new2"]
    assert admission.refused == 2


def test_an_event_that_cannot_happen_is_refused() -> None:
    pool = Desk().pool
    for event in (
        Event(1, 0, "s0", "seeded"),
        Event(1, 0, "made", "injected"),
        Event(1, 0, "s0", "woken"),
        Event(1, 0, "s0", "passed"),
        Event(1, 0, "gone", "retired"),
    ):
        with pytest.raises(ValueError, match=event.task_id):
            pool.apply(event, "base")
