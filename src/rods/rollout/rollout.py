"""A finished episode as training sees it, and the group that K of them make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rods.config import RewardName
from rods.group import GroupRewards
from rods.rollout.episode import Ending, Episode
from rods.rollout.messages import Conversation
from rods.rollout.tokens import Tokens


class Rollout(NamedTuple):
    """A finished episode. `mask` is 1 on the policy's own tokens.

    `prompt_ids`, then `completion_ids`, `mask` and `logprobs` of equal length.

    Attributes:
        turns: whether each turn that was reached passed.
        failure: why the environment lost it, or "".
        versions: of the policy, one for each of its actions.
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
    def of(cls, episode: Episode, tokens: Tokens) -> Rollout:
        """An episode that is over, and its tokens."""
        assert episode.ending is not None
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
        """Tokens that the policy generated."""
        return sum(self.mask)

    @property
    def lost(self) -> bool:
        """Whether the environment failed: nothing is known of what the policy would have done."""
        return self.ending is Ending.ENVIRONMENT_FAILURE

    def reward(self, name: RewardName) -> float | None:
        """What the policy is trained on under that name; None where the rollout was lost."""
        if self.lost:
            return None
        if name == "format":
            return self.format
        return self.outcome(name)

    def outcome(self, name: RewardName) -> float:
        """What the boundary reads of a rollout that was not lost, where that reward is trained on.

        The binary reward where that is trained on (the paper's ablation), else the progress:
        never a shaped reward.
        """
        return float(self.complete) if name == "binary" else self.progress


def group_of(rollouts: Sequence[Rollout], name: RewardName) -> GroupRewards:
    """The rewards of one task's K rollouts.

    Args:
        name: of the reward that is trained on.
    """
    outcomes = [None if r.lost else r.outcome(name) for r in rollouts] if name == "format" else None
    return GroupRewards(rollouts[0].task_id, [r.reward(name) for r in rollouts], outcomes)


def scored(rollouts: Sequence[Rollout]) -> list[Rollout]:
    """Those that came to an end and can be measured."""
    return [rollout for rollout in rollouts if not rollout.lost]
