"""An executed task: what the notions of meaning are judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from rods.ablation import ablate
from rods.envs.base import Environment, Work
from rods.envs.calls import any_failed, retried
from rods.envs.state import State
from rods.profile import Profile, Role, profile_of
from rods.provenance import Source, sources
from rods.reward import TraceError, trusted_trace
from rods.synthesis.meaning.data import Scan, parsed, scan
from rods.task import Call, Task, ToolSpec


@dataclass(frozen=True)
class CallTrace:
    """A task and what its ground truth shows.

    Attributes:
        tools: its tools by name.
        responses: by turn.
        states: at the start and after each call; from another process they have no data.
        profile: the task's profile.
    """

    task: Task
    tools: Mapping[str, ToolSpec]
    responses: tuple[tuple[str, ...], ...]
    states: tuple[State, ...]
    profile: Profile

    @property
    def start(self) -> Any:
        """The start state as the task gives it: {class: {attribute: value}}."""
        return self.task.start

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
    def roles(self) -> list[Role]:
        """The role of each call."""
        return [role for turn in self.profile.shape for _, role in turn]

    @cached_property
    def turns(self) -> list[int]:
        """The turn of each call."""
        return [i for i, turn in enumerate(self.task.turns) for _ in turn.ground_truth]

    @cached_property
    def sources(self) -> list[dict[str, Source]]:
        return sources(self.task, self.responses)

    @cached_property
    def words(self) -> list[str]:
        """What the calls of each turn answer: its words and those of unanswered turns before it."""

        def joined(before: str, index: int) -> str:
            answered = index == 0 or self.task.turns[index - 1].ground_truth
            here = self.task.turns[index].user
            return here if answered else f"{before}\n{here}"

        return list(accumulate(range(len(self.task.turns)), joined, initial=""))[1:]


def call_trace(task: Task, env: Environment) -> CallTrace:
    """Execute a task's ground truth.

    Raises:
        TraceError: it cannot be executed.
        NoProcessError: no process can be started.
    """
    gold, tools = trusted_trace(task, env), env.tools(task)
    owners = {name: tool.owner for name, tool in tools.items()}
    phi = profile_of(task, gold, ablate(task, env, gold), owners)
    return CallTrace(task, tools, gold.responses, _states(task, env), phi)


def _states(task: Task, env: Environment) -> tuple[State, ...]:
    def watched() -> list[Any]:
        session = env.open(task)
        calls = [Work(session, (call,), None, True) for call in task.calls]
        outcomes = env.execute([Work(session, (), None, True), *calls])
        session.close()
        return outcomes

    outcomes = retried(watched, any_failed)
    states = tuple(o.state for o in outcomes if o.state is not None)
    if len(states) != len(task.calls) + 1:
        raise TraceError(f"task {task.label}: the ground truth cannot be run again")
    return states
