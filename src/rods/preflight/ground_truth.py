"""Plays the ground truths of tasks, to measure prompts and episodes and to check the renderer.

The episodes are played by the same runner as in training, without limits. So their tokens are those
that training would see of a policy that makes exactly the right calls and says no more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rods.envs.base import Environment
from rods.renderers.chat import ChatRenderer
from rods.rollout.episode import EpisodeLimits
from rods.rollout.policy import Generation, Sampling
from rods.rollout.rollout import Rollout
from rods.rollout.runner import Runner
from rods.task import Call, Task

AT_ONCE = 64  # episodes
NO_LIMIT = 10**9
CALLS = EpisodeLimits().calls  # most calls of an action


class Size(NamedTuple):
    """Tokens of an episode that plays the ground truth.

    Attributes:
        prompt: before the first action.
        total: of the whole episode.
        generated: written by the policy.
        read: by a policy that reads the whole episode so far at each action.
        actions: number of actions.
        longest: the longest action.
        calls: most calls of a turn; no tokens.
    """

    prompt: int
    total: int
    generated: int
    read: int
    actions: int
    longest: int
    calls: int


@dataclass(frozen=True)
class Played:
    """What the ground truths have shown.

    Attributes:
        sizes: by the task's id.
        misread: labels of tasks whose calls are not read as they were written.
        failed: labels of tasks that the environment does not reward in full.
        compared: labels of episodes that were compared with the chat template, each with whether
            they are equal.
    """

    sizes: dict[str, Size]
    misread: list[str]
    failed: list[str]
    compared: dict[str, bool]


class GroundTruthPolicy:
    """Writes the calls of each task's ground truth, and an end after each turn's calls.

    If the episode has fallen behind, because a call was not read, more ends follow.
    """

    def __init__(self, renderer: ChatRenderer, tasks: Sequence[Task]) -> None:
        self._renderer = renderer
        self._left = [actions(task) for task in tasks]
        self._calls = [max(len(turn.ground_truth) for turn in task.turns) for task in tasks]
        self._made: list[list[int]] = [[] for _ in tasks]  # lengths of the actions
        self._read = [0] * len(tasks)

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        made = self._renderer.write(next(self._left[sampling.episode], ()))
        self._made[sampling.episode].append(len(made))
        self._read[sampling.episode] += len(ids)
        return Generation(made, [0.0] * len(made))

    def size(self, episode: int, prompt: int, total: int) -> Size:
        """The size of an episode that has ended."""
        made = self._made[episode]
        longest = max(made, default=0)  # none if the environment has lost it
        read, calls = self._read[episode], self._calls[episode]
        return Size(prompt, total, sum(made), read, len(made), longest, calls)


def actions(task: Task) -> Iterator[Sequence[Call]]:
    """The calls of each action that plays the ground truth; none where it ends a turn."""
    for turn in task.turns:
        calls = turn.ground_truth
        yield from (calls[first : first + CALLS] for first in range(0, len(calls), CALLS))
        yield ()


def play(
    tasks: Sequence[Task],
    env: Environment,
    renderer: ChatRenderer,
    compare: Collection[str],
    tick: Callable[[int], None],
) -> Played:
    """Play the ground truths of all tasks.

    Args:
        compare: ids of tasks whose episodes are compared with the chat template.
        tick: called with the number of episodes that have ended since the last time.

    Raises:
        UserError: the chat template fails on a message.
    """
    limits = EpisodeLimits(attempts=NO_LIMIT)
    runner = Runner(env, renderer, limits, NO_LIMIT, sampling=Sampling(NO_LIMIT))
    found = Played({}, [], [], {})
    for first in range(0, len(tasks), AT_ONCE):
        part = tasks[first : first + AT_ONCE]
        policy = GroundTruthPolicy(renderer, part)
        for place, rollout in enumerate(runner.run(part, policy)):
            task, ids = part[place], [*rollout.prompt_ids, *rollout.completion_ids]
            found.sizes[task.id] = policy.size(place, len(rollout.prompt_ids), len(ids))
            if not rollout.lost and made(rollout) != [[*calls] for calls in actions(task)]:
                found.misread.append(task.label)
            elif not rollout.complete:
                found.failed.append(task.label)
            elif task.id in compare:
                found.compared[task.label] = renderer.whole(rollout.conversation) == ids
        tick(len(part))
    return found


def made(rollout: Rollout) -> list[list[Call]]:
    """The calls of each action, as they were read."""
    messages = rollout.conversation.messages
    return [[c.call for c in m.tool_calls] for m in messages if m.role == "assistant"]
