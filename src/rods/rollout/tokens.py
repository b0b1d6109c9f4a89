"""An agent that generates token ids, and the tokens of its episode.

The policy and the environment only append: no id is decoded and encoded again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rods.rollout.agent import Agent, Spoken, Usage
from rods.rollout.messages import Conversation, Message
from rods.rollout.policy import GatheringPolicy, Generation, Policy, Sampling
from rods.rollout.renderer import Renderer
from rods.task import ToolSpec


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


@dataclass
class TokenAgent(Agent["TokenSeat"]):
    """A policy that continues token ids, with the renderer of its family.

    Attributes:
        budget: most tokens of an episode, prompt included.
        sampling: of an action; it gets at most the tokens that are left in the budget.
    """

    renderer: Renderer
    policy: Policy
    budget: int
    sampling: Sampling

    def seat(
        self, number: int, conversation: Conversation, tools: Mapping[str, ToolSpec]
    ) -> TokenSeat:
        return TokenSeat(self, number, conversation, tools)

    def enter(self, episodes: int) -> None:
        if isinstance(self.policy, GatheringPolicy):
            self.policy.enter(episodes)

    def leave(self) -> None:
        if isinstance(self.policy, GatheringPolicy):
            self.policy.leave()


class TokenSeat:
    """A `TokenAgent` in one episode.

    Attributes:
        tokens: of the episode so far.
    """

    failure: Exception | None = None  # a policy's exception ends all episodes

    def __init__(
        self,
        agent: TokenAgent,
        number: int,
        conversation: Conversation,
        tools: Mapping[str, ToolSpec],
    ) -> None:
        self.tokens, self.usage = Tokens(agent.renderer.begin(conversation)), Usage()
        self._agent, self._number, self._tools = agent, number, tools
        self._conversation = conversation
        self._action: Sequence[int] = ()  # ids of the last action
        self._check_budget(len(self.tokens.ids))

    async def act(self) -> Spoken | None:
        if self.usage.spent:
            return None
        agent, tokens = self._agent, self.tokens
        before = len(tokens.ids)
        most = min(agent.sampling.max_tokens, agent.budget - before)
        made = await agent.policy.generate(
            tokens.ids, agent.sampling._replace(max_tokens=most, episode=self._number)
        )
        tokens.add_generation(made)
        self._action = made.ids
        cut_off = not set(made.ids[-1:]) <= set(agent.sampling.stop_ids)
        self.usage.add(before, len(made.ids), cut_off=cut_off)
        action = agent.renderer.parse(made.ids, self._tools)
        return Spoken(action, agent.renderer.show(made.ids))

    def observe(self, messages: Sequence[Message]) -> None:
        ids = self._agent.renderer.extend(messages, self._action)
        if self._check_budget(len(self.tokens.ids) + len(ids)):
            self.tokens.add_environment(ids)

    def messages(self) -> list[dict[str, Any]]:
        return self._conversation.openai()

    def _check_budget(self, tokens: int) -> bool:
        """Whether an action fits after a prompt of so many tokens."""
        budget = self._agent.budget
        if tokens >= budget:
            self.usage.spent = f"the prompt has {tokens:,} tokens and the context {budget:,}"
        return tokens < budget
