"""The tokens of one episode; the policy and the environment only append."""

from __future__ import annotations

from collections.abc import Sequence

from rods.rollout.policy import Generation


class Tokens:
    """All ids so far, and for those after the prompt what training needs.

    Attributes:
        mask: 1 on the policy's tokens, 0 on all others.
        logprobs: 0.0 on tokens that are not the policy's.
        versions: version of the policy at each of its actions.
    """

    def __init__(self, prompt: Sequence[int]) -> None:
        self.ids = list(prompt)
        self.mask: list[int] = []
        self.logprobs: list[float] = []
        self.versions: list[int] = []

    def add_generation(self, made: Generation) -> None:
        """Append an action of the policy.

        Raises:
            ValueError: the number of log-probabilities is not that of the tokens.
        """
        if len(made.logprobs) != len(made.ids):
            counts = f"{len(made.logprobs)} log-probabilities for {len(made.ids)} tokens"
            raise ValueError(f"the policy gave {counts}")
        self.ids += made.ids
        self.mask += [1] * len(made.ids)
        self.logprobs += made.logprobs
        self.versions.append(made.version)

    def add_environment(self, ids: Sequence[int]) -> None:
        """Append ids of the environment."""
        self.ids += ids
        self.mask += [0] * len(ids)
        self.logprobs += [0.0] * len(ids)

    @property
    def prompt(self) -> list[int]:
        """The ids before the first action."""
        return self.ids[: len(self.ids) - len(self.mask)]

    @property
    def completion(self) -> list[int]:
        """The ids after the prompt, of the policy and the environment."""
        return self.ids[len(self.ids) - len(self.mask) :]
