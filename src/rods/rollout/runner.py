"""Plays episodes with a policy, each as a coroutine that does not wait for others.

If the ground truth of a task cannot be replayed, or the task cannot be opened, the environment has
failed: its rollouts are lost before they begin, and the next visit tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from rods.envs.base import Environment, InterruptibleEnvironment
from rods.envs.hints import Hinter
from rods.errors import NoProcessError, UserError
from rods.reward import GoldTrace, TraceError, Traces
from rods.rollout.action_queue import ActionQueue
from rods.rollout.episode import Ending, Episode, EpisodeLimits
from rods.rollout.policy import GatheringPolicy, Policy, Sampling
from rods.rollout.renderer import Renderer
from rods.rollout.rollout import Rollout
from rods.rollout.synchronous import run_coroutine
from rods.rollout.tokens import Tokens
from rods.rollout.worker_thread import WorkerThread
from rods.task import Task

CLOSING = 5.0  # seconds that an early end waits for calls that cannot be interrupted


@dataclass
class Runner:
    """Plays tasks with a policy.

    All work of the environment is done in one thread, which is the same in all plays: some tools
    work in one thread only.

    Attributes:
        token_budget: most tokens of an episode, prompt included.
        hinter: makes the hints on failed calls; None: no hints.
        sampling: of an action. The stop ids are the renderer's; an action gets at most the tokens
            that are left in the budget.
    """

    env: Environment
    renderer: Renderer
    limits: EpisodeLimits = field(default_factory=EpisodeLimits)
    token_budget: int = 512
    hinter: Hinter | None = None
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        self.traces = Traces(self.env)
        self.sampling = self.sampling._replace(stop_ids=self.renderer.stop_ids)

    def run(self, tasks: Sequence[Task], policy: Policy) -> list[Rollout]:
        """`play`, for synchronous code; an event loop may be running already."""
        return run_coroutine(lambda: self.play(tasks, policy))

    async def play(self, tasks: Sequence[Task], policy: Policy) -> list[Rollout]:
        """One episode for each entry of `tasks`, in order.

        Everything that ends this early, such as an exception of the policy, cancels all episodes
        and closes their sessions, after at most `CLOSING` seconds: a call that takes longer is not
        waited for, and the sessions are closed after it.

        Raises:
            NoProcessError: no process can be started.
        """
        episodes: list[Episode] = []
        playing: list[asyncio.Task[Rollout]] = []

        def over(_: asyncio.Task[Rollout]) -> None:
            if isinstance(policy, GatheringPolicy):
                policy.leave()

        try:
            await self._thread.call(self._begin, tasks, episodes)
            actions = ActionQueue(self.env, self._thread)
            if isinstance(policy, GatheringPolicy):
                policy.enter(len(episodes))
            for number, episode in enumerate(episodes):
                coroutine = self._play(number, episode, policy, actions)
                playing.append(asyncio.create_task(coroutine))
                playing[-1].add_done_callback(over)  # also called for one that never began
            return await asyncio.gather(*playing)
        except BaseException:
            for task in playing:
                task.cancel()
            if isinstance(self.env, InterruptibleEnvironment):
                self.env.interrupt()
            closed = asyncio.wait_for(self._thread.call(_close, episodes), CLOSING)
            await asyncio.gather(closed, *playing, return_exceptions=True)
            raise

    @cached_property
    def _thread(self) -> WorkerThread:
        return WorkerThread()

    async def _play(
        self,
        number: int,
        episode: Episode,
        policy: Policy,
        actions: ActionQueue,
    ) -> Rollout:
        tokens = Tokens(self.renderer.begin(episode.conversation))
        tools = self.env.tools(episode.task)
        if episode.ending is None and len(tokens.ids) >= self.token_budget:
            await actions.end(episode, Ending.TOKEN_BUDGET)
        if episode.ending is not None:  # a rollout without a token of the policy
            tokens.add_environment(self.renderer.stop_ids[:1])
        while episode.ending is None:
            left = self.token_budget - len(tokens.ids)
            sampling = self.sampling._replace(
                max_tokens=min(self.sampling.max_tokens, left), episode=number
            )
            made = await policy.generate(tokens.ids, sampling)
            tokens.add_generation(made)
            action = self.renderer.parse(made.ids, tools)
            seen = await actions.act(episode, action, self.renderer.show(made.ids))
            if episode.ending is None:
                said = self.renderer.extend(seen, made.ids)
                if len(tokens.ids) + len(said) < self.token_budget:
                    tokens.add_environment(said)
                else:
                    await actions.end(episode, Ending.TOKEN_BUDGET)
        return Rollout.of(episode, tokens)

    def _begin(self, tasks: Sequence[Task], episodes: list[Episode]) -> None:
        """Append an episode for each task; they can be closed also if a later one raises."""
        traces = self.traces.visit(tasks)
        for task in tasks:
            episodes.append(self._open(task, traces[task.id]))

    def _open(self, task: Task, trace: GoldTrace | TraceError) -> Episode:
        """An episode at its first turn, or a lost one."""
        if isinstance(trace, TraceError):
            return Episode.lost(task, self.env, str(trace))
        try:
            return Episode(task, self.env, trace, self.limits, hinter=self.hinter)
        except NoProcessError:
            raise
        except UserError as error:
            return Episode.lost(task, self.env, str(error))


def _close(episodes: Sequence[Episode]) -> None:
    """Close the sessions of all episodes that have not ended."""
    for episode in episodes:
        if episode.ending is None:
            with suppress(Exception):  # the others are closed as well
                episode.close()
