"""The pool's lifecycle under random histories, and each verdict by name."""

from __future__ import annotations

from collections import Counter

import pytest
from doubles import make_seeds, make_task
from hypothesis import given
from hypothesis import strategies as st

from rods.boundary import BoundaryRule, Group, MeanRule, Thresholds, VarianceRule
from rods.config import PoolConfig
from rods.pool import Pool
from rods.store import Event
from rods.task import Task

SEEDS = make_seeds(6)
RULES: list[BoundaryRule] = [MeanRule(Thresholds()), VarianceRule()]
settings_of_pools = st.builds(
    PoolConfig,
    beta=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    p_max=st.integers(0, 4),
    burn_in=st.sampled_from([0.0, 0.2]),
    stale_epochs=st.sampled_from([None, 1, 2]),
    rest_epochs=st.integers(0, 2),
)
rewards = st.tuples(*[st.sampled_from([0.0, 0.5, 1.0])] * 2)


def seeded(config: PoolConfig, rule: BoundaryRule) -> tuple[Pool, dict[str, Task], list[Event]]:
    pool, tasks = Pool(config, rule), {task.id: task for task in SEEDS}
    events = [Event(0, 0, task.id, "seeded") for task in SEEDS]
    for event in events:
        pool.apply(event, tasks[event.task_id])
    return pool, tasks, events


@given(settings_of_pools, st.sampled_from(RULES), st.integers(0, 5), st.data())
def test_any_history_keeps_the_promises(
    config: PoolConfig, rule: BoundaryRule, epochs: int, data: st.DataObject
) -> None:
    pool, tasks, history = seeded(config, rule)
    gone: set[str] = set()
    groups: list[Group] = []

    def take(events: list[Event]) -> None:
        for event in events:
            pool.apply(event, tasks[event.task_id])
        history.extend(events)
        gone.update(e.task_id for e in events if e.kind == "retired")

    for epoch in range(epochs):
        drawn = [e.task for e in pool.live() if data.draw(st.integers(0, 3))]
        new = [Group(t.id, t.category, data.draw(rewards), epoch, epoch + 1) for t in drawn]
        pool.observe(new)
        groups += new
        take(pool.retire(epoch + 2, epoch))
        active, room = len(pool.live()), pool.room()
        assert room <= config.beta * active
        made = [make_task(f"made {epoch} {i}", origin="test") for i in range(room)]
        tasks |= {task.id: task for task in made}
        take([Event(epoch + 2, epoch + 1, t.id, "injected", SEEDS[0].id) for t in made])
        take(pool.prune(epoch + 2, epoch))
        untried = [e for e in pool.generated() if e.last is None]
        assert len(pool.generated()) <= max(config.p_max, len(untried))
        assert not gone & {e.task.id for e in pool.live()}
        assert not gone & {task.id for task in SEEDS}
    kinds = Counter(e.kind for e in history)
    assert (pool.injected, sum(pool.retired.values())) == (kinds["injected"], kinds["retired"])
    assert len(gone) == kinds["retired"]
    again = Pool(config, rule)
    for event in history:
        again.apply(event, tasks[event.task_id])
    again.observe(groups)
    assert again == pool


def verdicts(
    values: tuple[float, ...], rule: BoundaryRule, *, passed: bool = False, **settings: object
) -> list[tuple[str, str]]:
    """(kind, reason) for a generated task whose group in epoch 1 has these rewards."""
    pool, _, _ = seeded(PoolConfig(**settings), rule)
    task = make_task("made", origin="test")
    pool.apply(Event(2, 1, task.id, "injected", SEEDS[0].id), task)
    if passed:
        pool.apply(Event(3, 1, task.id, "passed"), task)
    pool.observe([Group(task.id, task.category, values, 1, 3)])
    return [(e.kind, e.reason) for e in pool.retire(4, 1)]


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
    assert verdicts(values, RULES[0]) == [mean]
    assert verdicts(values, RULES[1]) == [variance]


@pytest.mark.parametrize("rule", RULES)
def test_verdicts_after_burn_in(rule: BoundaryRule) -> None:
    assert verdicts((0.0, 0.3), rule, passed=True) == [("retired", "too hard")]
    assert verdicts((0.0, 0.3), rule, passed=True, hard=0.1) == []
    assert verdicts((0.0, 0.9), rule, passed=True, stale_epochs=1) == [("retired", "stale")]
    assert verdicts((0.0, 0.9), rule, passed=True, stale_epochs=2) == []
    assert verdicts((0.0, 0.3), rule, burn_in=0.1, hard=0.1) == [("passed", "")]


def test_a_task_that_was_not_drawn_is_not_judged() -> None:
    pool, _, _ = seeded(PoolConfig(rest_epochs=2), RULES[1])
    task = make_task("made", origin="test")
    pool.apply(Event(2, 1, task.id, "injected", SEEDS[0].id), task)
    pool.observe([Group(t.id, t.category, (0.0, 0.0), 0, 1) for t in (*SEEDS, task)])
    assert pool.retire(3, 1) == []


def test_originals_rest_and_wake() -> None:
    pool, tasks, _ = seeded(PoolConfig(rest_epochs=2), RULES[0])
    pool.observe([Group(SEEDS[0].id, "base", (0.0, 0.0), 0, 1)])
    pool.observe([Group(SEEDS[1].id, "base", (0.0, 1.0), 0, 1)])
    told = []
    for epoch in range(3):
        found = pool.retire(epoch + 2, epoch)
        told.append([(e.epoch, e.task_id, e.kind, e.reason) for e in found])
        for event in found:
            pool.apply(event, tasks[event.task_id])
        assert len(pool.live()) == (6 if epoch == 2 else 5)
    first = SEEDS[0].id
    assert told == [[(1, first, "rested", "all failed")], [], [(3, first, "woken", "")]]


def test_originals_do_not_rest_unless_told() -> None:
    pool, _, _ = seeded(PoolConfig(rest_epochs=0), RULES[1])
    pool.observe([Group(t.id, t.category, (0.0, 0.0), 0, 1) for t in SEEDS])
    assert pool.retire(2, 0) == []


def test_the_least_valuable_are_pruned_and_untried_ones_stay() -> None:
    pool, _, _ = seeded(PoolConfig(p_max=2), RULES[1])
    made = [make_task(f"made {i}", origin="test") for i in range(4)]
    for task in made:
        pool.apply(Event(2, 1, task.id, "injected", SEEDS[0].id), task)
    values = [(0.0, 1.0), (0.5, 0.5), (0.2, 0.8)]
    pairs = zip(made, values, strict=False)
    pool.observe([Group(t.id, t.category, v, 1, 3) for t, v in pairs])
    found = pool.prune(4, 1)
    assert [(e.task_id, e.reason) for e in found] == [
        (made[1].id, "pruned"),
        (made[2].id, "pruned"),
    ]
    assert [t.id for t in made if t.id not in {e.task_id for e in found}] == [
        made[0].id,
        made[3].id,
    ]
