"""Plays episodes, each as a coroutine that does not wait for others.

If the ground truth of a task cannot be replayed, or the task cannot be opened, the environment has
failed: its rollouts are lost before they begin, and the next visit tries again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

from rods.envs.base import Environment, InterruptibleEnvironment
from rods.envs.hints import Hinter
from rods.errors import NoProcessError, UserError
from rods.reward import GoldTrace, TraceError, Traces
from rods.rollout.action_queue import ActionQueue
from rods.rollout.agent import Agent, Seat
from rods.rollout.episode import Ending, Episode, EpisodeLimits
from rods.rollout.policy import Policy, Sampling
from rods.rollout.renderer import Renderer
from rods.rollout.rollout import Rollout
from rods.rollout.synchronous import run_coroutine
from rods.rollout.tokens import TokenAgent
from rods.rollout.worker_thread import WorkerThread
from rods.task import Task

CLOSING = 5.0  # seconds that an early end waits for calls that cannot be interrupted
S = TypeVar("S", bound=Seat)


class Played(NamedTuple, Generic[S]):
    """An ended episode.

    Attributes:
        seat: the agent's in it.
        seconds: from the first message to the end.
    """

    episode: Episode
    seat: S
    seconds: float


class EpisodeRunner:
    """Plays tasks with any agent.

    All work of the environment is done in one thread, which is the same in all plays: some tools
    work in one thread only.

    Attributes:
        hinter: makes the hints on failed calls; None: no hints.
    """

    def __init__(
        self, env: Environment, limits: EpisodeLimits | None = None, hinter: Hinter | None = None
    ) -> None:
        self.env, self.limits, self.hinter = env, limits or EpisodeLimits(), hinter
        self.traces = Traces(env)

    async def play_with(self, agent: Agent[S], tasks: Sequence[Task]) -> list[Played[S]]:
        """One episode for each entry of `tasks`, in order.

        Everything that ends this early, such as an exception of the agent, cancels all episodes
        and closes their sessions, after at most `CLOSING` seconds: a call that takes longer is not
        waited for, and the sessions are closed after it.

        Raises:
            NoProcessError: no process can be started.
        """
        episodes: list[Episode] = []
        playing: list[asyncio.Task[Played[S]]] = []
        try:
            await self._thread.call(self._begin, tasks, episodes)
            actions = ActionQueue(self.env, self._thread)
            agent.enter(len(episodes))
            for number, episode in enumerate(episodes):
                coroutine = self._play(number, episode, agent, actions)
                playing.append(asyncio.create_task(coroutine))
                # Also called for one that never began.
                playing[-1].add_done_callback(lambda _: agent.leave())
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
        self, number: int, episode: Episode, agent: Agent[S], actions: ActionQueue
    ) -> Played[S]:
        start = time.monotonic()
        seat = agent.seat(number, episode.conversation, self.env.tools(episode.task))
        while episode.ending is None:
            spoken = await seat.act()
            if spoken is None:
                await actions.end(episode, Ending.TOKEN_BUDGET)
                break
            seen = await actions.act(episode, *spoken)
            if episode.ending is None:
                seat.observe(seen)
        return Played(episode, seat, time.monotonic() - start)

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


class Runner(EpisodeRunner):
    """Plays tasks with policies of token ids and returns rollouts for training.

    Attributes:
        token_budget: most tokens of an episode, prompt included.
        sampling: of an action. The stop ids are the renderer's; an action gets at most the tokens
            that are left in the budget.
    """

    def __init__(
        self,
        env: Environment,
        renderer: Renderer,
        limits: EpisodeLimits | None = None,
        token_budget: int = 512,
        hinter: Hinter | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        super().__init__(env, limits, hinter)
        self.renderer, self.token_budget = renderer, token_budget
        self.sampling = (sampling or Sampling())._replace(stop_ids=renderer.stop_ids)

    def run(
        self, tasks: Sequence[Task], policy: Policy, temperature: float | None = None
    ) -> list[Rollout]:
        """`play`, for synchronous code; an event loop may be running already."""
        return run_coroutine(lambda: self.play(tasks, policy, temperature))

    async def play(
        self, tasks: Sequence[Task], policy: Policy, temperature: float | None = None
    ) -> list[Rollout]:
        """One rollout for each entry of `tasks`, in order; see `play_with`.

        Args:
            temperature: None for that of `sampling`.
        """
        sampling = self.sampling
        if temperature is not None:
            sampling = sampling._replace(temperature=temperature)
        agent = TokenAgent(self.renderer, policy, self.token_budget, sampling)
        played = await self.play_with(agent, tasks)
        stop = self.renderer.stop_ids[:1]
        return [Rollout.of(each.episode, each.seat.tokens, stop) for each in played]


def _close(episodes: Sequence[Episode]) -> None:
    """Close the sessions of all episodes that have not ended."""
    for episode in episodes:
        if episode.ending is None:
            with suppress(Exception):  # the others are closed as well
                episode.close()
