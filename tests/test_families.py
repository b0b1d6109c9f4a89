"""Families: the variants of one seed task, and the limits on how much of a pool they may take."""

from __future__ import annotations

from collections import Counter
from statistics import fmean, pstdev
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import make_config
from rods.config import Config, PoolConfig
from rods.curriculum.admission import Admission
from rods.curriculum.boundary import AdvantageRule, VarianceRule
from rods.curriculum.curriculum import Curriculum
from rods.curriculum.pool import Event, Pool
from rods.group import Group

DIFFER = (0.0, 1.0)


class Candidate(NamedTuple):
    task_id: str
    parent: str
    category: str = "base"


def pool_of(*pairs: tuple[str, str]) -> Pool:
    """A pool of tasks with their parents; "" for a seed task."""
    pool = Pool()
    for task_id, parent in pairs:
        pool.apply(Event(1, 1, task_id, "injected" if parent else "seeded", parent), "base")
    return pool


def test_a_family_goes_back_to_its_seed_task() -> None:
    pool = pool_of(("s", ""), ("t", ""), ("a", "s"), ("b", "a"), ("c", "b"), ("d", "t"))
    assert [pool.family(i) for i in ("s", "a", "b", "c", "d")] == ["s", "s", "s", "s", "t"]
    assert pool.family("unknown") == "unknown"
    assert pool.families == Counter(s=3, t=1)
    pool.apply(Event(2, 2, "b", "retired", "mastered"))
    assert pool.families == Counter(s=2, t=1)
    assert pool.family("c") == "s", "its parent has left the pool"


def observed(config: Config, ids: list[str], step: int, curriculum: Curriculum) -> list[str]:
    groups = [Group(i, "base", DIFFER, step, step) for i in ids]
    return [event.task_id for event in curriculum.observe(groups)]


@pytest.mark.parametrize(("family", "second"), [(False, ["a", "b"]), (True, [])])
def test_the_cooldown_may_be_of_families(family: bool, second: list[str]) -> None:
    limits = {"rule": "variance", "cooldown": 3, "family_cooldown": family}
    config = make_config(boundary=limits)
    curriculum = Curriculum(config)
    curriculum.pool = pool_of(("s", ""), ("t", ""), ("a", "s"), ("b", "s"))
    assert observed(config, ["s", "t"], 1, curriculum) == ["s", "t"]
    assert observed(config, ["a", "b"], 2, curriculum) == second
    assert observed(config, ["a", "b"], 4, curriculum) == (["a"] if family else [])
    assert curriculum.selection.cooling == (1 if family else 2)


def test_a_full_family_has_parent_tasks_for_the_places_of_those_that_retire() -> None:
    limits = {"p_max": 4, "family_share": 0.5, "beta": 1.0}
    config = make_config(boundary={"rule": "variance"}, pool=limits)
    curriculum = Curriculum(config)
    curriculum.pool = pool_of(("s", ""), ("t", ""), ("a", "s"), ("b", "a"))
    assert observed(config, ["s", "t", "b"], 1, curriculum) == ["b", "s", "t"]
    waiting = [Candidate("of b", "b"), Candidate("of s", "s"), Candidate("of t", "t")]
    came = curriculum.admission.admit(curriculum.pool, waiting, 2, 1)
    assert [event.task_id for event in came] == ["of t"]
    curriculum.apply([Event(2, 1, "a", "retired", "mastered")])
    came = curriculum.admission.admit(curriculum.pool, waiting, 2, 1)
    assert [event.task_id for event in came] == ["of b", "of t"]


def test_seed_tasks_that_rest_count_for_beta() -> None:
    """Else a pool whose seed tasks all rest could not grow again."""
    pool = pool_of(*[(f"s{i}", "") for i in range(16)])
    admission = Admission(PoolConfig(beta=0.25), VarianceRule())
    assert admission.wanted(pool) == 4
    for task_id in list(pool.live):
        pool.apply(Event(1, 1, task_id, "rested", "no signal"))
    assert not pool.live and admission.wanted(pool) == admission.room(pool) == 4


@given(
    st.lists(st.sampled_from("stu"), max_size=12),
    st.lists(st.sampled_from("stu"), max_size=12),
    st.sampled_from([0.1, 0.25, 0.5, 1.0]),
    st.integers(1, 8),
)
def test_no_family_takes_more_than_its_share(
    live: list[str], waiting: list[str], share: float, p_max: int
) -> None:
    config = PoolConfig(p_max=p_max, family_share=share, beta=1.0)
    admission, most = Admission(config, VarianceRule()), max(1, int(share * p_max))
    pool = pool_of(("s", ""), ("t", ""), ("u", ""))
    for number, parent in enumerate(live):
        if pool.families[parent] < most and pool.generated < p_max:
            pool.apply(Event(1, 1, f"old {number}", "injected", parent), "base")
    candidates = [Candidate(f"new {i}", parent) for i, parent in enumerate(waiting)]
    count, wanted = Counter(pool.families), []
    for candidate in candidates:
        if count[candidate.parent] < most or share == 1:
            count[candidate.parent] += 1
            wanted.append(candidate.task_id)
    places = min(len(pool.live), p_max - pool.generated)  # none was tried, so none is pruned
    came = admission.admit(pool, candidates, 2, 1)
    assert [event.task_id for event in came] == wanted[:places]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=16))
def test_the_mean_absolute_advantage(values: list[float]) -> None:
    group = Group("t", "base", tuple(values), 0, 1)
    standing = AdvantageRule().judge(group)
    if len(set(values)) == 1:
        assert standing.priority == 0.0 and not standing.boundary
        return
    assert 0 < standing.priority <= 1 and standing.boundary
    if pstdev(values) > 1e-3:
        mean = fmean(values)
        found = fmean(abs(v - mean) for v in values) / pstdev(values)
        assert standing.priority == pytest.approx(found, abs=1e-9)
        halved = Group("t", "base", tuple(v / 2 for v in values), 0, 1)
        assert AdvantageRule().judge(halved).priority == pytest.approx(standing.priority), "scale"


def test_a_group_half_and_half_has_the_most() -> None:
    for half in (0.2, 0.5, 1.0):
        assert Group("t", "base", (0.0, 0.0, half, half), 0, 1).advantage == 1.0
    assert Group("t", "base", (0.0, 0.0, 0.0, 1.0), 0, 1).advantage == pytest.approx(0.75**0.5)
