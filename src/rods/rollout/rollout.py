"""Rollouts: finished episodes for training, and the group of K of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rods.group import GroupRewards
from rods.rollout.episode import Ending, Episode
from rods.rollout.messages import Conversation
from rods.rollout.tokens import Tokens
from rods.stages import RewardName


class Rollout(NamedTuple):
    """A finished episode.

    `completion_ids`, `mask` and `logprobs` have equal length; `mask` is 1 on the policy's tokens.

    Attributes:
        turns: for each turn that was reached, whether it passed.
        failure: why the environment lost the episode, or "".
        versions: version of the policy at each of its actions.
    """

    task_id: str
    prompt_ids: list[int]
    completion_ids: list[int]
    mask: list[int]
    logprobs: list[float]
    progress: float
    complete: bool
    format: float
    turns: list[bool]
    ending: Ending
    conversation: Conversation
    refusals: dict[str, int]
    failure: str = ""
    versions: tuple[int, ...] = ()

    @classmethod
    def of(cls, episode: Episode, tokens: Tokens, stop: Sequence[int]) -> Rollout:
        """The rollout of an ended episode and its tokens.

        Args:
            stop: the completion of an episode that ended before the policy's first token; trainers
                need one that is not empty.
        """
        assert episode.ending is not None
        if not tokens.mask:
            tokens.add_environment(stop)
        return cls(
            task_id=episode.task.id,
            prompt_ids=tokens.prompt,
            completion_ids=tokens.completion,
            mask=tokens.mask,
            logprobs=tokens.logprobs,
            progress=episode.progress,
            complete=episode.complete,
            format=episode.format,
            turns=[v.passed for v in episode.verdicts],
            ending=episode.ending,
            conversation=episode.conversation,
            refusals=dict(episode.refusals),
            failure=episode.failure,
            versions=tuple(tokens.versions),
        )

    @property
    def generated(self) -> int:
        """Number of tokens that the policy generated."""
        return sum(self.mask)

    @property
    def lost(self) -> bool:
        """Whether the environment failed, so that the rollout has no result."""
        return self.ending is Ending.ENVIRONMENT_FAILURE

    def reward(self, name: RewardName) -> float | None:
        """The reward of that name, which the policy is trained on; None for a lost rollout."""
        if self.lost:
            return None
        if name == "format":
            return self.format
        return self.outcome(name)

    def outcome(self, name: RewardName) -> float:
        """What the boundary reads of a rollout that was not lost, if that reward is trained on.

        It is the binary reward if that is trained on (the paper's ablation), else the progress, and
        never a shaped reward.
        """
        return float(self.complete) if name == "binary" else self.progress


def group_of(rollouts: Sequence[Rollout], name: RewardName) -> GroupRewards:
    """The rewards of one task's K rollouts.

    Args:
        name: name of the reward that is trained on.
    """
    outcomes = [None if r.lost else r.outcome(name) for r in rollouts] if name == "format" else None
    turns = [r.turns for r in rollouts]
    return GroupRewards(rollouts[0].task_id, [r.reward(name) for r in rollouts], outcomes, turns)


def scored(rollouts: Sequence[Rollout]) -> list[Rollout]:
    """The rollouts that were not lost."""
    return [rollout for rollout in rollouts if not rollout.lost]
