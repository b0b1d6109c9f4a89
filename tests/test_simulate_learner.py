"""The simulated learner: what a group teaches, what it does not, and how it fades."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from rods.group import Group, Signal
from rods.simulate.items import ROW, TURNS
from rods.simulate.learner import Learner, advantages, chances, complete, expected
from rods.simulate.measures import Tally
from rods.simulate.settings import LearnerSettings

SKILLS = 6
GROUPS, SIZE = 4, 8
outcomes = npst.arrays(bool, (GROUPS, SIZE, TURNS))
turn_counts = npst.arrays(np.uint8, GROUPS, elements=st.integers(2, TURNS))
rewards_of_groups = npst.arrays(
    float, (GROUPS, 3), elements=st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 1.0])
)


def make_rows(turns=(TURNS,) * GROUPS, seed: int = 0) -> np.ndarray:
    """Tasks of so many turns over all skills."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(len(turns), ROW)
    rows["turns"] = turns
    used = rows["turns"][:, None] > np.arange(TURNS)
    rows["skills"] = rng.integers(SKILLS, size=rows["skills"].shape) * used[..., None]
    rows["difficulty"] = rng.normal(0, 2, (len(turns), TURNS)) * used
    return rows


def make_learner(seed: int = 0, **settings: float) -> Learner:
    rng = np.random.default_rng(seed)
    return Learner(rng.normal(0, 1, SKILLS), LearnerSettings(**settings), rng)


def used_only(solved: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Without the turns that a task does not have."""
    return solved & (rows["turns"][:, None, None] > np.arange(TURNS))


@given(outcomes, turn_counts)
def test_a_constant_group_teaches_nothing(solved: np.ndarray, turns: np.ndarray) -> None:
    rows, learner, numbers = make_rows(turns), make_learner(), np.arange(GROUPS)
    solved = used_only(solved, rows)
    solved[0] = solved[0, :1]
    rewards = learner.train(rows, numbers, solved)
    constant = (rewards == rewards[:, :1]).all(axis=1)
    assert constant[0]
    assert not learner.memory(numbers)[constant].any()
    taught = set(rows["skills"][~constant].ravel())
    untouched = [skill for skill in range(SKILLS) if skill not in taught]
    assert (learner.ability[untouched] == learner.start[untouched]).all()


def test_equal_rewards_of_unequal_turns_teach_nothing() -> None:
    rows, learner = make_rows([2]), make_learner()
    solved = np.zeros((1, 2, TURNS), bool)
    solved[0, 0, 0] = solved[0, 1, 1] = True
    assert learner.train(rows, np.arange(1), solved).tolist() == [[0.5, 0.5]]
    assert (learner.ability == learner.start).all()
    assert not learner.memory(np.arange(1)).any()


@given(outcomes, turn_counts, st.integers(0, 3))
def test_training_follows_the_gradient_of_grpo(
    solved: np.ndarray, turns: np.ndarray, seed: int
) -> None:
    """The memory of an untouched item rises as the surrogate objective's finite differences say."""
    rows, numbers = make_rows(turns, seed), np.arange(GROUPS)
    learner = make_learner(seed, item_rate=1e-3, item_most=100, item_fades=1e12)
    solved = used_only(solved, rows)
    logits = np.random.default_rng(seed).normal(0, 1, (GROUPS, TURNS))
    rewards = learner.train(rows, numbers, solved)

    def objective(logits: np.ndarray) -> np.ndarray:
        signs = np.where(solved, 1, -1)
        likely = -np.log1p(np.exp(-signs * logits[:, None, :]))
        return (advantages(rewards)[:, :, None] * likely).mean(axis=1)

    slope = (objective(logits + 1e-5) - objective(logits - 1e-5)) / 2e-5
    used = rows["turns"][:, None] > np.arange(TURNS)
    told = np.where(used, np.maximum(slope, 0) * 1e-3, 0)
    assert learner.memory(numbers) == pytest.approx(told, abs=2e-7)


@given(
    npst.arrays(float, SKILLS, elements=st.floats(-30, 30)),
    turn_counts,
    npst.arrays(float, (GROUPS, TURNS), elements=st.floats(0, 10)),
)
def test_chances_are_probabilities(
    ability: np.ndarray, turns: np.ndarray, memory: np.ndarray
) -> None:
    rows = make_rows(turns)
    chance = chances(ability, rows, memory)
    used = rows["turns"][:, None] > np.arange(TURNS)
    assert ((chance >= 0) & (chance <= 1)).all()
    assert (chance[~used] == 0).all()
    assert (chance >= chances(ability, rows)).all()
    reward, whole = expected(chance, rows["turns"]), complete(chance, rows["turns"])
    assert ((whole >= 0) & (whole <= reward + 1e-12) & (reward <= 1)).all()


def test_expectations_are_those_of_many_rollouts() -> None:
    rows, learner, numbers = make_rows([2, 3, 5]), make_learner(3), np.arange(3)
    solved = learner.rollout(rows, numbers, 40_000)
    chance = chances(learner.ability, rows)
    rewards = solved.sum(axis=2) / rows["turns"][:, None]
    assert rewards.mean(axis=1) == pytest.approx(expected(chance, rows["turns"]), abs=0.01)
    whole = (solved.sum(axis=2) == rows["turns"][:, None]).mean(axis=1)
    assert whole == pytest.approx(complete(chance, rows["turns"]), abs=0.01)


@given(rewards_of_groups)
def test_advantages(rewards: np.ndarray) -> None:
    found = advantages(rewards)
    constant = (rewards == rewards[:, :1]).all(axis=1)
    assert (found[constant] == 0).all()
    assert found.mean(axis=1) == pytest.approx(np.zeros(GROUPS), abs=1e-9)
    assert found[~constant].std(axis=1) == pytest.approx(np.ones((~constant).sum()))


@given(rewards_of_groups)
def test_causes_are_counted_as_groups_say_them(rewards: np.ndarray) -> None:
    tally = Tally()
    tally.add(rewards)
    groups = [Group("a", "base", tuple(values), 0, 1) for values in rewards.tolist()]
    kinds = (Signal.SIGNAL, Signal.ALL_SOLVED, Signal.ALL_FAILED, Signal.CONSTANT)
    shares = [sum(g.signal is kind for g in groups) / GROUPS for kind in kinds]
    assert tally.shares() == pytest.approx((*shares, rewards.mean()))


@given(outcomes, st.floats(0, 100))
def test_gains_stay_within_their_bounds(solved: np.ndarray, rate: float) -> None:
    rows, numbers = make_rows(), np.arange(GROUPS)
    learner = make_learner(rate=rate, item_rate=rate, headroom=2.0, item_most=3.0)
    for _ in range(3):
        learner.train(rows, numbers, solved)
    assert (learner.ability <= learner.start + 2.0 + 1e-9).all()
    memory = learner.memory(numbers)
    assert ((memory >= 0) & (memory <= 3.0 + 1e-6)).all()


def test_what_is_not_practised_fades() -> None:
    learner = make_learner(skill_fades=10.0, item_fades=10.0)
    first, second = make_rows([2]), make_rows([2])
    first["skills"], second["skills"] = 0, 1
    solved = np.zeros((1, 4, TURNS), bool)
    solved[0, :2, 0] = True
    learner.train(first, np.array([0]), solved)
    gained, kept = learner.ability[0] - learner.start[0], learner.memory(np.array([0]))[0, 0]
    for _ in range(10):
        learner.train(second, np.array([1]), solved)
    assert gained > 0 and kept > 0
    assert learner.ability[0] - learner.start[0] == pytest.approx(gained / np.e)
    assert learner.memory(np.array([0]))[0, 0] == pytest.approx(kept / np.e)
    assert learner.ability[1] > learner.start[1]


def test_a_task_that_is_twice_in_a_step_is_remembered_for_both() -> None:
    once, twice = (make_learner(item_rate=0.1, item_most=100) for _ in range(2))
    rows = make_rows([2])
    solved = np.zeros((1, 4, TURNS), bool)
    solved[0, :2, 0] = True
    once.train(rows, np.array([0]), solved)
    twice.train(np.repeat(rows, 2), np.array([0, 0]), np.repeat(solved, 2, axis=0))
    number = np.array([0])
    assert twice.memory(number) == pytest.approx(2 * once.memory(number), rel=1e-3)


def test_a_binary_reward_is_one_for_whole_tasks_only() -> None:
    rows, learner = make_rows([3]), make_learner()
    solved = np.zeros((1, 3, TURNS), bool)
    solved[0, 0, :3] = solved[0, 1, :2] = True
    assert learner.train(rows, np.arange(1), solved, binary=True).tolist() == [[1.0, 0.0, 0.0]]
