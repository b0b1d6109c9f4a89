"""A learner by item-response theory, trained with the gradient that GRPO would give it.

A turn is solved with probability sigmoid(mean ability of its skills - its difficulty + memory of
this turn). The reward of a rollout is the share of its turns that are solved. For a policy whose
parameters are these logits, GRPO's gradient of turn t over a group of K rollouts is the covariance
of its outcome with the reward, divided by the reward's standard deviation: the mean of A_k y_kt
over k, with the advantage A_k = (r_k - mean r) / std r. It is exactly zero for a group with equal
rewards, also if its turns differ. Turns that are almost always or almost never solved have little
covariance, so learning is slow for tasks that are mastered or too hard.

The gradient changes the skills, which all tasks share, and the memory of the item, which only that
task uses. Both saturate, and fade towards their start while they are not trained.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rods.simulate.items import TURNS, Rows
from rods.simulate.settings import LearnerSettings

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
IN_USE = np.arange(TURNS)


def chances(ability: Floats, rows: Rows, memory: Floats | float = 0.0) -> Floats:
    """Probability that each turn is solved, shape [len(rows), TURNS]; 0 where there is no turn.

    Args:
        ability: of each skill, in logits.
        memory: added to the logits, broadcast to the result's shape.
    """
    logits = ability[rows["skills"]].mean(axis=-1) - rows["difficulty"] + memory
    chance: Floats = 1 / (1 + np.exp(-logits))
    return chance * (rows["turns"][:, None] > IN_USE)


def expected(chance: Floats, turns: npt.NDArray[Any]) -> Floats:
    """Expected reward of tasks, shape [n], from the chances of their turns."""
    reward: Floats = chance.sum(axis=1) / turns
    return reward


def complete(chance: Floats, turns: npt.NDArray[Any]) -> Floats:
    """Probability that every turn of a task is solved, shape [n]."""
    whole: Floats = np.where(turns[:, None] > IN_USE, chance, 1.0).prod(axis=1)
    return whole


def advantages(rewards: Floats) -> Floats:
    """GRPO's advantages, shape [G, K] like the rewards; exactly zero for equal rewards."""
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    differs = (rewards != rewards[:, :1]).any(axis=1, keepdims=True)
    found: Floats = np.divide(centred, spread, out=np.zeros_like(centred), where=differs)
    return found


class Learner:
    """Abilities and memory of one simulated policy.

    Args:
        ability: of each skill before training, in logits.
        rng: random numbers of the rollouts.
    """

    def __init__(
        self, ability: Floats, settings: LearnerSettings, rng: np.random.Generator
    ) -> None:
        self.start, self.ability = ability, ability.copy()
        self.settings, self.rng = settings, rng
        self.groups = 0
        self._memory = np.zeros((0, TURNS), np.float32)
        self._seen = np.zeros(0, np.int64)

    def memory(self, numbers: Ints) -> Floats:
        """The present memory of tasks, in logits, shape [len(numbers), TURNS]."""
        self._grow(int(numbers.max(initial=-1)) + 1)
        gone = self.groups - self._seen[numbers]
        return self._memory[numbers] * np.exp(-gone / self.settings.item_fades)[:, None]

    def rollout(self, rows: Rows, numbers: Ints, size: int) -> Bools:
        """Which turns are solved in each of `size` rollouts, shape [len(rows), size, TURNS]."""
        chance = chances(self.ability, rows, self.memory(numbers))
        return self.rng.random((len(rows), size, TURNS)) < chance[:, None, :]

    def train(self, rows: Rows, numbers: Ints, solved: Bools, *, binary: bool = False) -> Floats:
        """One update from the rollouts of a step's tasks; returns their rewards, shape [G, K].

        Args:
            binary: the reward of a rollout is 1 if all turns are solved, else 0.
        """
        settings = self.settings
        rewards: Floats = solved.sum(axis=2) / rows["turns"][:, None]
        if binary:
            rewards = np.floor(rewards)
        gradient = np.einsum("gk,gkt->gt", advantages(rewards), solved) / solved.shape[1]
        self._remember(numbers, gradient)
        skills = rows["skills"]
        shares = np.repeat(gradient.ravel() / skills.shape[-1], skills.shape[-1])
        pushed = np.bincount(skills.ravel(), shares, len(self.ability))
        gained = self.ability - self.start
        fade = np.exp(-len(rows) / settings.skill_fades)
        left = np.clip(1 - gained / settings.headroom, 0, 1)
        gained = np.where(pushed == 0, gained * fade, gained)
        gained = gained + settings.rate * pushed * np.where(pushed > 0, left, 1)
        self.ability = self.start + np.minimum(gained, settings.headroom)
        self.groups += len(rows)
        return rewards

    def _remember(self, numbers: Ints, gradient: Floats) -> None:
        kept, most = self.memory(numbers), self.settings.item_most
        left = np.where(gradient > 0, np.clip(1 - kept / most, 0, 1), 1)
        self._memory[numbers], self._seen[numbers] = kept, self.groups
        # A pool smaller than a step has a task twice in a step; both groups count.
        np.add.at(self._memory, numbers, self.settings.item_rate * gradient * left)
        self._memory[numbers] = np.clip(self._memory[numbers], 0, most)

    def _grow(self, count: int) -> None:
        if count > len(self._seen):
            more = max(count, len(self._seen) * 3 // 2) - len(self._seen)
            self._memory = np.concatenate([self._memory, np.zeros((more, TURNS), np.float32)])
            self._seen = np.concatenate([self._seen, np.zeros(more, np.int64)])
