"""What plays: anything that continues token ids, be it in this process or on a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class Sampling(NamedTuple):
    """How an action is generated.

    Attributes:
        max_tokens: of the action.
        temperature: of the distribution that is sampled from; 0: the likeliest token.
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
        logprobs: of each of them, in the distribution that was sampled from.
        version: of the weights, as the policy counts it: training steps, say.
    """

    ids: list[int]
    logprobs: list[float]
    version: int = 0


class Policy(Protocol):
    """Continues episodes."""

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        """The next action after `ids`, which are the whole episode so far.

        The sequence grows after the answer; who needs it longer copies it. Whatever is raised
        ends the run.
        """


@runtime_checkable
class GatheringPolicy(Policy, Protocol):
    """A policy that waits until all episodes in play have asked, to answer them together.

    `rods.rollout.gathering.Gathering` has all but the answers.
    """

    def enter(self, episodes: int) -> None:
        """So many episodes begin."""

    def leave(self) -> None:
        """One of them is over."""
