"""The rules by name."""

from __future__ import annotations

from rods.boundary.latest import MeanRule, RandomRule, VarianceRule
from rods.boundary.posterior import PosteriorRule
from rods.boundary.rule import BoundaryRule, Thresholds
from rods.config import Config


def make_rule(config: Config) -> BoundaryRule:
    """The rule that `boundary.rule` names, with nothing observed yet."""
    boundary = config.boundary
    if boundary.rule == "mean":
        return MeanRule(Thresholds(boundary.low, boundary.high))
    if boundary.rule == "variance":
        return VarianceRule()
    if boundary.rule == "posterior":
        return PosteriorRule(config.rollout.group_size, boundary.memory)
    return RandomRule(config.seed)
