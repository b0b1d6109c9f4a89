"""Measurements of a simulated run: a point of its curve after each part of the budget."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rods.simulate.items import Rows
from rods.simulate.learner import Floats, Ints, Learner, chances, complete, expected

MASTERED = 0.95  # expected reward from which on a task counts as mastered, as in the paper
CHUNK = 65_536  # tasks that are computed together


class Point(NamedTuple):
    """The state after some trajectories, and what happened since the previous point.

    Attributes:
        signal: share of groups whose rewards differ. `solved`, `failed` and `constant` are the
            shares without signal: all solved, all failed, constant in between. All are NaN before
            the first group.
        reward: mean reward since the previous point.
        progress: expected reward of the held-out tasks.
        complete: expected share of held-out tasks with all turns solved.
        mastered: held-out tasks with an expected reward of at least `MASTERED`.
        seeds_mastered: seed tasks with such a reward, by skill or by memory.
        pool: tasks that may be drawn; `generated` of them were made by synthesis.
        injected: so far; `retired` likewise, by reason.
    """

    trajectories: int
    signal: float
    solved: float
    failed: float
    constant: float
    reward: float
    progress: float
    complete: float
    mastered: int
    seeds_mastered: int
    pool: int
    generated: int
    injected: int
    retired: dict[str, int]


class Tally:
    """Counts groups between two points, by the cases of `Group.signal`."""

    def __init__(self) -> None:
        self.groups = 0
        self._counts = np.zeros(5)  # in the order of `Point.signal` to `Point.reward`

    def add(self, rewards: Floats) -> None:
        """Add the rewards of a step's groups, shape [G, K]."""
        first = rewards[:, 0]
        same = (rewards == first[:, None]).all(axis=1)
        solved, failed = same & (first == 1), same & (first == 0)
        counts = [(~same).sum(), solved.sum(), failed.sum(), same.sum() - (solved | failed).sum()]
        self._counts += [*counts, rewards.mean(axis=1).sum()]
        self.groups += len(rewards)

    def shares(self) -> tuple[float, float, float, float, float]:
        """`Point.signal` to `Point.reward`."""
        shares = (self._counts / (self.groups or float("nan"))).tolist()
        signal, solved, failed, constant, reward = shares
        return signal, solved, failed, constant, reward


def on_heldout(ability: Floats, rows: Rows) -> tuple[float, float, int]:
    """`Point.progress` to `Point.mastered`."""
    chance = chances(ability, rows)
    reward = expected(chance, rows["turns"])
    whole = complete(chance, rows["turns"])
    return float(reward.mean()), float(whole.mean()), int((reward >= MASTERED).sum())


def seeds_mastered(learner: Learner, rows: Rows) -> int:
    """`Point.seeds_mastered`.

    Args:
        rows: of the seed tasks, which are the tasks numbered from 0.
    """
    found = 0
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        numbers: Ints = np.arange(start, start + len(some))
        chance = chances(learner.ability, some, learner.memory(numbers))
        found += int((expected(chance, some["turns"]) >= MASTERED).sum())
    return found
