"""Repeats work in which the environment may have failed, and not the task or the call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rods.envs.base import Outcome
from rods.envs.calls import STOPPED

T = TypeVar("T")
TRIES = 3


def retried(attempt: Callable[[], T], failed: Callable[[T], bool]) -> T:
    """The result of the first attempt that did not fail, or of the last of `TRIES` attempts."""
    result = attempt()
    for _ in range(TRIES - 1):
        if not failed(result):
            break
        result = attempt()
    return result


def any_failed(outcomes: Sequence[Outcome]) -> bool:
    """Whether a limit stopped a call, or a session was lost."""
    refusals = (seen.refused for outcome in outcomes for seen in outcome.observations)
    return any(outcome.lost for outcome in outcomes) or not STOPPED.isdisjoint(refusals)
