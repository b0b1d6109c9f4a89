"""Policies: all that continue token ids, in this process or on a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class Sampling(NamedTuple):
    """How an action is generated.

    Attributes:
        max_tokens: most tokens of the action.
        temperature: of the distribution that is sampled from; 0: the most likely token.
        stop_ids: each of them ends the action, and is part of it.
        episode: number of the episode among those that are played together, from 0. Its requests
            come one after the other, and each begins with all ids of the one before.
    """

    max_tokens: int = 96
    temperature: float = 1.0
    stop_ids: tuple[int, ...] = ()
    episode: int = 0


class Generation(NamedTuple):
    """One action as it was generated.

    Attributes:
        ids: new token ids, a stop id included.
        logprobs: log-probability of each id, in the distribution that was sampled from.
        version: of the weights, as the policy counts it, for example in training steps.
    """

    ids: list[int]
    logprobs: list[float]
    version: int = 0


class Policy(Protocol):
    """Continues episodes."""

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        """The next action after `ids`, which are the whole episode so far.

        The sequence grows after the answer, so copy it to store it. Every exception ends the run.
        """


@runtime_checkable
class GatheringPolicy(Policy, Protocol):
    """A policy that waits until all playing episodes have made a request, to answer all at once.

    `rods.rollout.gathering.Gathering` implements everything except the answers.
    """

    def enter(self, episodes: int) -> None:
        """This number of episodes begins."""

    def leave(self) -> None:
        """One of them has ended."""


@runtime_checkable
class CollectivePolicy(Policy, Protocol):
    """A policy that samples by calls that all processes of a run must make together."""

    def finish(self) -> None:
        """The episodes of this process are over: take part until those of all processes are."""
