"""A conversation and an executed task: what the gates and the notions of meaning are judged on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from rods.ablation import Ablation, ablate, call_states
from rods.envs.base import Environment
from rods.envs.state import State
from rods.profile import Profile, Role, profile_of
from rods.provenance import Source, sources
from rods.reward import GoldTrace, trusted_trace
from rods.synthesis.meaning.data import Scan, parsed, scan
from rods.task import Call, Task, ToolSpec


class Conversation(ABC):
    """The words, calls and responses of a task."""

    task: Task

    @property
    @abstractmethod
    def tools(self) -> Mapping[str, ToolSpec]:
        """The task's tools by name."""

    @property
    @abstractmethod
    def responses(self) -> Sequence[Sequence[str]]:
        """By turn."""

    @cached_property
    def calls(self) -> list[Call]:
        return self.task.calls

    @cached_property
    def flat(self) -> list[str]:
        """The response to each call."""
        return [text for turn in self.responses for text in turn]

    @cached_property
    def shown(self) -> list[Scan]:
        """The entries of each response."""
        return [scan(parsed(text)) for text in self.flat]

    @cached_property
    def turns(self) -> list[int]:
        """The turn of each call."""
        return [i for i, turn in enumerate(self.task.turns) for _ in turn.ground_truth]

    @cached_property
    def sources(self) -> list[dict[str, Source]]:
        """The source of each argument, by call."""
        return sources(self.task, self.responses, self.tools)

    @cached_property
    def words(self) -> list[str]:
        """What the calls of each turn answer: its words and those of unanswered turns before it."""

        def joined(before: str, index: int) -> str:
            answered = index == 0 or self.task.turns[index - 1].ground_truth
            here = self.task.turns[index].user
            return here if answered else f"{before}\n{here}"

        return list(accumulate(range(len(self.task.turns)), joined, initial=""))[1:]


class Draft(Conversation):
    """A conversation whose words are still being written.

    Args:
        responses: by turn.
    """

    def __init__(
        self, task: Task, tools: Mapping[str, ToolSpec], responses: Sequence[Sequence[str]]
    ) -> None:
        self.task, self._tools, self._responses = task, tools, responses

    @property
    def tools(self) -> Mapping[str, ToolSpec]:
        return self._tools

    @property
    def responses(self) -> Sequence[Sequence[str]]:
        return self._responses


@dataclass
class CallTrace(Conversation):
    """A task and what its ground truth shows, which is computed at first use.

    Raises:
        TraceError: at first use, if the ground truth cannot be executed.
        NoProcessError: at first use, if no process can be started.
    """

    task: Task
    env: Environment

    @cached_property
    def tools(self) -> dict[str, ToolSpec]:
        """The task's tools by name."""
        return self.env.tools(self.task)

    @cached_property
    def gold(self) -> GoldTrace:
        return trusted_trace(self.task, self.env)

    @property
    def responses(self) -> tuple[tuple[str, ...], ...]:
        """By turn."""
        return self.gold.responses

    @cached_property
    def states(self) -> tuple[State, ...]:
        """The state at the start and after each call; from another process it has no data."""
        return call_states(self.task, self.env)

    @cached_property
    def loaded(self) -> State:
        """The start state as the tools hold it, with what a task leaves out."""
        with closing(self.env.open(self.task)) as session:
            first = session.state()
        return first if first.data is not None else State(self.start)

    @property
    def start(self) -> Any:
        """The start state as the task gives it: {class: {attribute: value}}."""
        return self.task.start

    @cached_property
    def ablations(self) -> list[Ablation]:
        return ablate(self.task, self.env, self.gold, self.states)

    @cached_property
    def profile(self) -> Profile:
        return profile_of(self.task, self.gold, self.ablations, self.tools)

    @cached_property
    def roles(self) -> list[Role]:
        """The role of each call."""
        return [role for turn in self.profile.shape for _, role in turn]
