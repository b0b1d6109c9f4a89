"""Stages of the curriculum, and when training moves on to the next one.

Open in EnvTuning: the numbers of a plateau. EnvTuning (arXiv 2510.10197) moves on when the
validation has reached one and the gradient norm is stable. The numbers here are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Literal

from pydantic import Field

from rods.files.reading import Setting
from rods.task import Category

RewardName = Literal["format", "progress", "binary"]


class Plateau(Setting):
    """When a stage has taught what it can."""

    window: int = Field(3, ge=1, description="latest measurements, none of which is a gain")
    gain: float = Field(
        0.01, ge=0, le=1, description="rise of the validation's mean progress that counts as a gain"
    )
    spread: float = Field(
        0.5,
        ge=0,
        description="most that the gradient norms between them differ, as a share of their mean",
    )

    def reached(self, curve: Sequence[tuple[int, float]], norms: Mapping[int, float]) -> bool:
        """Whether the measurements rise no more and the gradient norms are stable.

        Args:
            curve: step and validation progress of each measurement since the stage began, with the
                one at its beginning.
            norms: gradient norm of training steps.
        """
        if len(curve) <= self.window:
            return False
        values = [progress for _, progress in curve]
        if max(values[-self.window :]) >= max(values[: -self.window]) + self.gain:
            return False
        steps = [step for step, _ in curve[-self.window - 1 :]]
        found = [[norms[s] for s in range(a + 1, b + 1) if s in norms] for a, b in pairwise(steps)]
        means = [fmean(some) for some in found if some]
        return not means or max(means) - min(means) <= self.spread * fmean(means)


class Stage(Setting):
    """A stage of the curriculum (in the paper: format, then base, then all with expansion)."""

    reward: RewardName = Field(
        "progress", description="what the policy is trained on; docs/reward.md defines each"
    )
    categories: tuple[Category, ...] = Field(
        (), description="that it trains on; none named: all that there are"
    )
    expand: bool = Field(True, description="variants are made and injected")
    hints: bool = Field(False, description="failed calls are shown with a hint, after EnvTuning")
    epochs: int | None = Field(
        None, ge=1, description="at most; null: until the plateau, or the last step of the run"
    )
    until: float | None = Field(
        None, gt=0, lt=1, description="share of the run's steps after which it ends, between epochs"
    )
    plateau: Plateau | None = Field(None, description="the stage ends when it is reached")


def stage_after(
    stages: Sequence[Stage],
    number: int,
    epochs: int,
    curve: Sequence[tuple[int, float]],
    norms: Mapping[int, float],
    done: float = 0.0,
) -> int:
    """Index of the stage of the next epoch. The last stage never ends.

    Args:
        number: index of the present stage.
        epochs: of it, so far.
        curve: see `Plateau.reached`.
        norms: see `Plateau.reached`.
        done: share of the run's steps so far.
    """
    stage = stages[number]
    spent = stage.epochs is not None and epochs >= stage.epochs
    spent |= stage.until is not None and done >= stage.until
    plateau = stage.plateau is not None and stage.plateau.reached(curve, norms)
    return min(number + (spent or plateau), len(stages) - 1)
