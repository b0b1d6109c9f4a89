"""The tokens of one episode, to which both sides only ever append."""

from __future__ import annotations

from collections.abc import Sequence

from rods.rollout.policy import Generation


class Tokens:
    """All ids so far, and what training must know of those after the prompt.

    Attributes:
        mask: 1 on the policy's own tokens.
        logprobs: 0.0 on all others.
        versions: of the policy, one for each of its actions.
    """

    def __init__(self, prompt: Sequence[int]) -> None:
        self.ids = list(prompt)
        self.mask: list[int] = []
        self.logprobs: list[float] = []
        self.versions: list[int] = []

    def add_generation(self, made: Generation) -> None:
        """An action of the policy.

        Raises:
            ValueError: it has not a log-probability for each token.
        """
        if len(made.logprobs) != len(made.ids):
            counts = f"{len(made.logprobs)} log-probabilities for {len(made.ids)} tokens"
            raise ValueError(f"the policy gave {counts}")
        self.ids += made.ids
        self.mask += [1] * len(made.ids)
        self.logprobs += made.logprobs
        self.versions.append(made.version)

    def add_environment(self, ids: Sequence[int]) -> None:
        """What the environment says."""
        self.ids += ids
        self.mask += [0] * len(ids)
        self.logprobs += [0.0] * len(ids)

    @property
    def prompt(self) -> list[int]:
        """What was there before the first action."""
        return self.ids[: len(self.ids) - len(self.mask)]

    @property
    def completion(self) -> list[int]:
        """What came after the prompt, of either side."""
        return self.ids[len(self.ids) - len(self.mask) :]
