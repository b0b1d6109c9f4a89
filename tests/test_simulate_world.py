"""Simulated tasks: real tasks whose parameters are their content, and their variants."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import make_task
from rods.errors import UserError
from rods.simulate.items import ROW, TURNS, Items, as_row, as_task
from rods.simulate.learner import chances, expected
from rods.simulate.settings import Settings, load_settings
from rods.simulate.world import BLOCK, SimulatedSynthesis, SimulatedWorld
from rods.task import Task


def make_world(seeds: int = 12, seed: int = 0, **sections: dict[str, float]) -> SimulatedWorld:
    return SimulatedWorld(Settings(**sections), seeds, np.random.default_rng(seed))


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 20))
def test_a_task_carries_its_parameters(seed: int, depths: int, tools: int) -> None:
    world = make_world(3, seed, world={"depths": depths, "tools": tools, "heldout": 1})
    for row in world.draw(3):
        task = as_task(row, world.categories, parent="abc")
        again = Task.model_validate_json(task.model_dump_json())
        assert as_row(again)[0] == row
        assert again.id == task.id
        assert task.category == world.categories[row["category"]]
        assert 2 <= row["turns"] <= TURNS
        assert row["skills"].max() < depths * tools


@given(st.integers(0, 2**32), st.floats(0, 1))
def test_a_variant_keeps_the_structure(seed: int, replaced: float) -> None:
    world = make_world(4, seed, variants={"replaced": replaced, "jitter": 0.5})
    parent = world.items.rows[:1].copy()
    before, variant = parent.copy(), world.vary(parent, random.Random(seed))
    assert (parent == before).all()
    assert (variant["turns"], variant["category"]) == (parent["turns"], parent["category"])
    depths = world.settings.world.depths
    assert (variant["skills"] % depths == parent["skills"] % depths).all()
    used = np.arange(TURNS) < parent["turns"][0]
    moved = variant["difficulty"][0] != parent["difficulty"][0]
    assert (moved == used).all()
    single = parent["skills"][0, :, 0] == parent["skills"][0, :, 1]
    assert (variant["skills"][0, single, 0] == variant["skills"][0, single, 1]).all()
    if not replaced:
        assert (variant["skills"] == parent["skills"]).all()


def test_variants_lie_near_their_parents_on_average() -> None:
    world = make_world(400)
    rows = world.items.rows
    rng = random.Random(0)
    variants = np.concatenate([world.vary(rows[i : i + 1], rng) for i in range(len(rows))])
    one, two = (expected(chances(world.ability, r), r["turns"]) for r in (rows, variants))
    assert np.corrcoef(one, two)[0, 1] > 0.8


def test_categories_and_levels_are_as_hard_as_told() -> None:
    def progress(level: float) -> list[float]:
        world = make_world(1, world={"heldout": 20_000, "level": level})
        rows = world.heldout
        reward = expected(chances(world.ability, rows), rows["turns"])
        return [float(reward[rows["category"] == c].mean()) for c in range(len(world.categories))]

    base, *harder = progress(0.0)
    assert all(base > other for other in harder)
    assert all(one < two for one, two in zip(progress(0.0), progress(1.0), strict=True))


def test_seeds_are_made_when_they_are_asked_for() -> None:
    world = make_world(40)
    tasks = list(world.seeds)
    assert len({t.id for t in tasks}) == len(world.seeds) == 40
    assert [t.id for t in world.seeds] == [t.id for t in tasks]
    assert all(task in world.seeds for task in tasks)
    assert as_task(world.heldout[0], world.categories) not in world.seeds
    assert make_task("seed 1") not in world.seeds
    numbers = world.items.numbers([t.id for t in reversed(tasks)])
    assert numbers.tolist() == list(range(39, -1, -1))


@given(st.lists(st.integers(0, 5), max_size=12))
def test_a_table_grows_without_losing_rows(batches: list[int]) -> None:
    items, rows = Items(), np.zeros(sum(batches), ROW)
    rows["difficulty"][:, 0] = np.arange(len(rows))
    start = 0
    for count in batches:
        assert items.add(rows[start : start + count]) == start
        start += count
    assert len(items) == len(rows)
    assert (items.rows == rows).all()


def test_synthesis_counts_its_attempts() -> None:
    world = make_world(200, variants={"success": 0.6})
    synthesis = SimulatedSynthesis(world)
    made = [synthesis.vary(task, random.Random(task.id), 3) for task in world.seeds]
    found = [task for task in made if task is not None]
    assert synthesis.funnel == {
        "tried": 200, "admitted": len(found), "failed": 200 - len(found)
    }  # fmt: skip
    assert 90 < len(found) < 150
    assert all(task.synthetic and task.parent and task.born == 3 for task in found)
    numbers = world.items.numbers([task.id for task in found])
    assert all(
        as_row(task)[0] == world.items.rows[n] for task, n in zip(found, numbers, strict=True)
    )


def test_fresh_tasks_never_repeat() -> None:
    synthesis = SimulatedSynthesis(make_world())
    fresh = [synthesis.fresh(random.Random(0), 1).id for _ in range(BLOCK + 5)]
    assert len(set(fresh)) == len(fresh)


def test_other_tasks_have_no_parameters() -> None:
    with pytest.raises(UserError, match="no simulated task"):
        as_row(make_task("seed 1"))


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("learner=1", "section.name=value"),
        ("learner.rate", "section.name=value"),
        ("learner.rte=1", "learner.rte"),
        ("learner.rate=-1", "learner.rate"),
        ("learner.rate=.nan", "learner.rate"),
        ("world.tools=[", "not YAML"),
    ],
)
def test_constants_that_do_not_fit(override: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        load_settings([override])


def test_constants_by_name() -> None:
    found = load_settings(["learner.rate=0.25", "variants.latency=2"])
    assert (found.learner.rate, found.variants.latency) == (0.25, 2)
    assert found.world == Settings().world
