"""Runs many episodes together: one policy call a round for all that are still going.

A task whose ground truth cannot be replayed, or that cannot be opened, is a failure of the
environment: its rollouts are lost before they begin, and it is tried again at its next visit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rods.envs.base import Environment
from rods.envs.hints import Hinter
from rods.errors import NoProcessError, UserError
from rods.reward import GoldTrace, TraceError, Traces
from rods.rollout.dialect import Dialect
from rods.rollout.episode import Ending, Episode, Limits, Message
from rods.rollout.rollout import Rollout
from rods.task import Task


class Policy(Protocol):
    """Anything that continues token histories."""

    def start(self, rows: int) -> None:
        """A new batch of `rows` episodes begins."""

    def generate(
        self, histories: Sequence[Sequence[int]], rows: Sequence[int]
    ) -> list[tuple[list[int], list[float]]]:
        """Continue each history to a stop token or the limit of an action.

        Args:
            histories: full token histories, one a row in `rows`.
            rows: which episode of the batch each history belongs to.

        Returns:
            For each history the new token ids and their log-probabilities.
        """


@dataclass
class Runner:
    """Plays tasks with a policy.

    Attributes:
        token_budget: most tokens of an episode, prompt included.
        hinter: makes the hints that failed calls are shown with; None: there are none.
    """

    env: Environment
    dialect: Dialect
    limits: Limits = field(default_factory=Limits)
    token_budget: int = 512
    hinter: Hinter | None = None

    def __post_init__(self) -> None:
        self.traces = Traces(self.env)

    def run(
        self, tasks: Sequence[Task], policy: Policy, tick: Callable[[], None] | None = None
    ) -> list[Rollout]:
        """One episode for each entry of `tasks`, in order.

        Args:
            tick: called after every round, for progress displays.

        Raises:
            NoProcessError: nothing can be run at all.
        """
        traces = self.traces.visit(tasks)
        episodes = [self._begin(task, traces[task.id]) for task in tasks]
        prompts = [self.dialect.open(e.task, e.transcript) for e in episodes]
        completions: list[list[int]] = [[] for _ in episodes]
        masks: list[list[int]] = [[] for _ in episodes]
        logprobs: list[list[float]] = [[] for _ in episodes]
        for i, episode in enumerate(episodes):
            if episode.ending is not None:  # a row without a token of its own
                completions[i], masks[i], logprobs[i] = [self.dialect.stop_ids[0]], [0], [0.0]
        policy.start(len(episodes))
        active = [i for i, episode in enumerate(episodes) if episode.ending is None]
        while active:
            made = policy.generate([prompts[i] + completions[i] for i in active], active)
            for i, (ids, logp) in zip(active, made, strict=True):
                completions[i] += ids
                masks[i] += [1] * len(ids)
                logprobs[i] += logp
            seen = self._act([episodes[i] for i in active], [ids for ids, _ in made])
            for i, messages in zip(active, seen, strict=True):
                length = len(prompts[i]) + len(completions[i])
                suffix = self._suffix(episodes[i], messages, length)
                completions[i] += suffix
                masks[i] += [0] * len(suffix)
                logprobs[i] += [0.0] * len(suffix)
            active = [i for i in active if episodes[i].ending is None]
            if tick:
                tick()
        return [
            Rollout(
                task_id=e.task.id,
                prompt_ids=prompts[i],
                completion_ids=completions[i],
                mask=masks[i],
                logprobs=logprobs[i],
                progress=e.progress,
                complete=e.complete,
                format=e.format,
                turns=[v.passed for v in e.verdicts],
                ending=e.ending,
                transcript=e.transcript,
                refusals=dict(e.refusals),
                failure=e.failure,
            )
            for i, e in enumerate(episodes)
            if e.ending is not None
        ]

    def _begin(self, task: Task, trace: GoldTrace | TraceError) -> Episode:
        """An episode at its first turn, or one that the environment has lost already."""
        if isinstance(trace, TraceError):
            return Episode.lost(task, self.env, str(trace))
        try:
            return Episode(task, self.env, trace, self.limits, hinter=self.hinter)
        except NoProcessError:
            raise
        except UserError as error:
            return Episode.lost(task, self.env, str(error))

    def _act(
        self, episodes: Sequence[Episode], generated: Sequence[list[int]]
    ) -> list[list[Message]]:
        """Let each episode act on its generated ids, with one visit to the environment for all."""
        steps = []
        for episode, ids in zip(episodes, generated, strict=True):
            action = self.dialect.parse(ids, self.env.tools(episode.task))
            steps.append(episode.begin(action, said=self.dialect.show(ids)))
        outcomes = iter(self.env.execute([step for step in steps if step]))
        return [
            episode.finish(next(outcomes) if step else None)
            for episode, step in zip(episodes, steps, strict=True)
        ]

    def _suffix(self, episode: Episode, seen: Sequence[Message], length: int) -> list[int]:
        """The environment's tokens after an action."""
        if episode.ending is not None:
            return []
        suffix = self.dialect.extend(seen)
        if length + len(suffix) >= self.token_budget:
            episode.end(Ending.TOKEN_BUDGET)
            return []
        return suffix
