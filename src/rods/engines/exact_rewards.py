"""Rewards as the reward functions gave them, and which groups have no signal.

Trainers keep rewards in float32 and take the mean of a group in it, which need not be the common
reward of a constant group: eight times 0.2 gives an advantage of -1.5e-4 and not 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

Noted = dict[int, list[float]]
"""By the place of a reward function: the rewards of its latest call; NaN for unscorable."""


def noting(function: Callable[..., Any], is_async: bool, noted: Noted, place: int) -> Any:
    """The reward function, with what it returns written to `noted[place]` as well."""

    def note(made: Iterable[float | None]) -> list[float | None]:
        given = list(made)
        noted[place] = [math.nan if reward is None else float(reward) for reward in given]
        return given

    if is_async:

        @functools.wraps(function)
        async def later(**arguments: Any) -> list[float | None]:
            return note(await function(**arguments))

        return later

    @functools.wraps(function)
    def now(**arguments: Any) -> list[float | None]:
        return note(function(**arguments))

    return now


def constant(rewards: Tensor, size: int) -> Tensor:
    """Which rollouts belong to groups whose rewards are all equal, to the last bit; shape [rows].

    Args:
        rewards: [rows], group after group; NaN is unscorable and left out, so that a group with
            one scorable rollout or none is constant.
        size: rollouts of a group.
    """
    groups = rewards.view(-1, size)
    missing = groups.isnan()
    least = groups.masked_fill(missing, math.inf).amin(1)
    most = groups.masked_fill(missing, -math.inf).amax(1)
    return most.le(least).repeat_interleave(size)


def total(rewards: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums [rows] of rewards [rows, functions]; NaN where no function could score."""
    found = (rewards * weights).nansum(1)
    return found.masked_fill(rewards.isnan().all(1), math.nan)


def column(rewards: list[float], device: torch.device) -> Tensor:
    """Rewards [rows] with all the bits of a Python float."""
    return torch.tensor(rewards, dtype=torch.float64, device=device)
