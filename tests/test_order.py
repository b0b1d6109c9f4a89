"""The order of an epoch: whole steps, nobody left out twice, the same everywhere."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rods.curriculum.pool import Event, Pool
from rods.curriculum.sampling import sample
from rods.group import Group

KINDS = ("base", "miss_func")
BOTH = frozenset(KINDS)


def pool_of(count: int) -> Pool:
    pool = Pool()
    for number in range(count):
        pool.apply(Event(0, 0, f"task {number}", "seeded"), KINDS[number % 2])
    return pool


def test_an_order_is_the_same_on_every_machine_and_with_every_numpy() -> None:
    assert sample(pool_of(8), 4, BOTH, 0, Random("0 epoch 0")) == [
        *("task 6", "task 7", "task 3", "task 5"),
        *("task 0", "task 4", "task 2", "task 1"),
    ]


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 9))
def test_epochs_are_whole_steps_and_nobody_sits_out_twice(count: int, size: int, seed: int) -> None:
    pool, idle = pool_of(count), set[str]()
    for epoch in range(4):
        ids = sample(pool, size, BOTH, epoch, Random(f"{seed} epoch {epoch}"))
        assert ids
        assert len(ids) % size == 0
        assert idle <= set(ids)
        if count >= size:
            assert len(set(ids)) == len(ids) > count - size
        idle = set(pool.entries) - set(ids)
        pool.observe(Group(i, pool.entries[i].category, (0.0, 1.0), epoch, 1, 2) for i in ids)


def test_a_category_that_is_not_wanted_is_not_drawn_unless_there_is_no_other() -> None:
    pool = pool_of(6)
    only = sample(pool, 3, frozenset({"base"}), 0, Random(0))
    assert {pool.entries[i].category for i in only} == {"base"}
    assert set(sample(pool, 3, frozenset({"long_context"}), 0, Random(0))) == set(pool.entries)


def test_where_all_rest_the_originals_are_drawn() -> None:
    pool = pool_of(4)
    for task_id in list(pool.entries):
        pool.apply(Event(1, 1, task_id, "rested", "mastered"))
    assert set(sample(pool, 2, BOTH, 1, Random(0))) == set(pool.entries)


def test_a_category_of_which_all_rest_draws_no_other() -> None:
    """Its own originals are drawn, and what synthesis made of it if that is live."""
    pool, base = pool_of(6), frozenset({"base"})
    for task_id in [i for i, e in pool.entries.items() if e.category == "base"]:
        pool.apply(Event(1, 1, task_id, "rested", "mastered"))
    drawn = sample(pool, 3, base, 1, Random(0))
    assert sorted(drawn) == ["task 0", "task 2", "task 4"]
    pool.apply(Event(2, 2, "made", "injected", "task 0"), "base")
    assert sample(pool, 1, base, 2, Random(0)) == ["made"]
    pool.apply(Event(3, 3, "made", "retired", "too hard"))
    assert sorted(sample(pool, 3, base, 3, Random(0))) == ["task 0", "task 2", "task 4"]


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="the pool is empty"):
        sample(Pool(), 3, BOTH, 0, Random(0))
