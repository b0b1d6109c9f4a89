"""Groups whose rewards are equal teach nothing: decided by the rewards, to their last bit.

Each test trains through TRL's own loop, with a `rollout_func` and a reward function.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grpo import micro, trainer
from rods.group import Group
from rods.trainers.signal_trainer import SignalTrainer, constant

K = 8
SUM = 0.1 + 0.2
CONSTANT = [[0.2] * K, [0.6] * K, [SUM] * K]
HALF = [0.0, 1.0] * (K // 2)
FIFTHS = [0.2, 0.2, 0.4, 0.6, 0.6, 0.6, 0.8, 1.0]
# Some rollouts cannot be scored.
LOSSY = [0.2, None, 0.4, 0.6, None, 0.6, 0.8, 1.0]
CONSTANT_LOSSY = [0.6, None, 0.6, 0.6, None, 0.6, 0.6, 0.6]
SINGLE = [None] * 5 + [0.7, None, None]
NONE: list[float | None] = [None] * K
# Equal in float32, and further apart than nothing.
NEAR = [0.3, SUM] * (K // 2)
LOSSES = ["dapo", "grpo", "dr_grpo"]
Groups = list[list[float | None]]


class Recording(SignalTrainer):
    """Notes the advantages that the loss is made of, by a row's first token."""

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        rows = zip(inputs["completion_ids"][:, 0], inputs["advantages"], strict=True)
        self.noted.update((int(first) - 1, float(advantage)) for first, advantage in rows)
        return super()._compute_loss(model, inputs)


def training(folder: Path, groups: Groups, reward: Any = None, **settings: Any) -> Any:
    """A trainer before its one step on these groups of rollouts; row i begins with token i + 1."""
    rewards = [reward for group in groups for reward in group]

    def rollout(prompts: list[str], trainer: Any) -> dict[str, Any]:
        count = len(prompts)
        assert count == len(rewards)
        return {
            "prompt_ids": [[2, 3]] * count,
            "completion_ids": [[row + 1, row + 2, 5, row + 3] for row in range(count)],
            "env_mask": [[1, 1, 0, 1]] * count,
            "logprobs": None,
            "given": rewards,
        }

    def given(completions: Any, given: list[float | None], **_: Any) -> list[float | None]:
        return given

    chosen = {"per_device_train_batch_size": len(rewards), "num_generations": K, **settings}
    chosen = {"learning_rate": 0.01, "weight_decay": 0.0, **chosen}
    made = trainer(Recording, folder, micro(), reward or given, rollout, **chosen)
    made.noted = {}
    return made


def changed(made: Any) -> bool:
    """Train; whether any bit of any weight is another one."""
    before = {name: weight.detach().clone() for name, weight in made.model.named_parameters()}
    made.train()
    assert made.state.global_step == 1
    return any(not torch.equal(before[name], w) for name, w in made.model.named_parameters())


def textbook(group: list[float | None], scale: str, everything: list[float]) -> list[float]:
    """GRPO's advantages as TRL defines them, in the arithmetic of Python."""
    scored = [reward for reward in group if reward is not None]
    if len(set(scored)) < 2:
        return [0.0] * len(group)
    spread = {"group": stdev(scored), "batch": stdev(everything), "none": 1.0 - 1e-4}[scale]
    mean = fmean(scored)
    return [0.0 if r is None else (r - mean) / (spread + 1e-4) for r in group]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "groups",
    [CONSTANT, [CONSTANT_LOSSY, SINGLE], [NONE, [0.6] * K]],
    ids=["equal", "lossy", "none"],
)
def test_constant_groups_leave_the_weights_as_they_are(
    tmp_path: Path, groups: Groups, loss: str
) -> None:
    assert not changed(training(tmp_path, groups, loss_type=loss))
    assert changed(training(tmp_path, [*groups, FIFTHS], loss_type=loss))


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_advantages_are_the_textbooks(tmp_path: Path, scale: str) -> None:
    groups = [*CONSTANT, HALF, FIFTHS, LOSSY, CONSTANT_LOSSY, SINGLE, NONE]
    made = training(tmp_path, groups, scale_rewards=scale)
    made.train()
    everything = [r for group in groups for r in group if r is not None]
    expected = [a for group in groups for a in textbook(group, scale, everything)]
    found = [made.noted[row] for row in range(len(expected))]
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-9)
    assert [a == 0.0 for a in found] == [a == 0.0 for a in expected]


def test_a_last_bit_makes_a_difference_but_no_noise(tmp_path: Path) -> None:
    assert len(set(NEAR)) == 2
    assert torch.tensor(NEAR).unique().numel() == 1
    made = training(tmp_path, [NEAR, FIFTHS])
    made.train()
    assert 0 < max(abs(made.noted[row]) for row in range(K)) < 1e-9


def test_micro_batches_and_their_accumulation(tmp_path: Path) -> None:
    settings = {"per_device_train_batch_size": K, "gradient_accumulation_steps": 3}
    assert not changed(training(tmp_path, CONSTANT, **settings))
    assert changed(training(tmp_path, [CONSTANT[0], HALF, CONSTANT[1]], **settings))


def test_several_reward_functions_count_by_their_weighted_sum(tmp_path: Path) -> None:
    def first(completions: Any, **_: Any) -> list[float]:
        return [0.2, 0.4] * (len(completions) // 2)

    async def second(completions: Any, **_: Any) -> list[float | None]:
        return [0.8, 0.6] * (len(completions) // 4) + [0.3, None] * (len(completions) // 4)

    made = training(tmp_path, [HALF, HALF], [first, second], reward_weights=[1.0, 1.0])
    made.train()
    assert {made.noted[row] for row in range(K)} == {0.0}
    assert all(made.noted[row] for row in range(K, 2 * K))
    assert made.reward_funcs == [first, second]


def test_rewards_that_are_normalised_one_by_one_are_left_to_trl(tmp_path: Path) -> None:
    """There a group with equal weighted sums still has advantages."""

    def first(completions: Any, **_: Any) -> list[float]:
        return [0.25, 0.5] * (len(completions) // 2)

    def second(completions: Any, **_: Any) -> list[float]:
        return [0.5, 0.375] * (len(completions) // 2)

    settings = {"multi_objective_aggregation": "normalize_then_sum", "loss_type": "grpo"}
    made = training(tmp_path, [HALF], [first, second], reward_weights=[1.0, 2.0], **settings)
    made.train()
    assert made.noted.keys() == set(range(K))
    assert all(abs(advantage) > 0.5 for advantage in made.noted.values())


@given(st.lists(st.none() | st.sampled_from([0.0, 0.2, SUM, 0.3, 0.6, 1.0]), min_size=1))
def test_a_group_is_constant_here_where_the_loop_says_so(rewards: list[float | None]) -> None:
    exact = torch.tensor([float("nan") if r is None else r for r in rewards], dtype=torch.float64)
    scored = tuple(r for r in rewards if r is not None)
    expected = Group("task", "base", scored, epoch=0, step=1, size=len(rewards)).constant
    assert constant(exact, len(rewards)).tolist() == [expected] * len(rewards)
