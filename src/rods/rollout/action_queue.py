"""Sends actions of many episodes to the environment: in batches, and in a thread.

All actions that arrive during one batch are the next batch. Everything that may call the
environment is done in the thread, so that it does not block the event loop: the calls of a step,
the state that a hint reads, and the end of a session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from rods.envs.base import Environment, Work
from rods.rollout.episode import Action, Ending, Episode
from rods.rollout.messages import Message
from rods.rollout.worker_thread import WorkerThread


class _Entry(NamedTuple):
    """An action of an episode, or its ending without one."""

    episode: Episode
    act: Action | Ending
    said: str
    seen: asyncio.Future[list[Message]]


class ActionQueue:
    """Executes the actions of episodes in batches.

    Args:
        thread: the one in which the episodes were opened; some tools work in one thread only.
    """

    def __init__(self, env: Environment, thread: WorkerThread) -> None:
        self._env, self._thread = env, thread
        self._waiting: list[_Entry] = []
        self._server: asyncio.Task[None] | None = None

    async def act(self, episode: Episode, action: Action, said: str) -> list[Message]:
        """`Episode.act`, in a batch with others.

        Raises:
            NoProcessError: no process can be started.
        """
        return await self._put(episode, action, said)

    async def end(self, episode: Episode, ending: Ending) -> None:
        """`Episode.end`."""
        await self._put(episode, ending, "")

    async def _put(self, episode: Episode, act: Action | Ending, said: str) -> list[Message]:
        loop = asyncio.get_running_loop()
        entry = _Entry(episode, act, said, loop.create_future())
        self._waiting.append(entry)
        if self._server is None:
            self._server = loop.create_task(self._serve())
        return await entry.seen

    async def _serve(self) -> None:
        """Execute one batch after the other, until no episode waits."""
        # The session of a cancelled episode may be closed, so its entry is left out.
        while batch := [entry for entry in self._waiting if not entry.seen.done()]:
            self._waiting = []
            try:
                found = await self._thread.call(self._together, batch)
            except (
                Exception
            ) as error:  # each episode gets it; otherwise they would wait without end
                for entry in batch:
                    if not entry.seen.done():
                        entry.seen.set_exception(error)
            else:
                for entry, seen in zip(batch, found, strict=True):
                    if not entry.seen.done():  # it is done if the episode was cancelled
                        entry.seen.set_result(seen)
        self._server = None

    def _together(self, batch: Sequence[_Entry]) -> list[list[Message]]:
        steps: list[Work | None] = []
        for episode, act, said, _ in batch:
            if isinstance(act, Ending):
                episode.end(act)
            steps.append(episode.begin(act, said) if isinstance(act, Action) else None)
        work = [step for step in steps if step]
        found = self._env.execute(work)
        if len(found) != len(work):
            raise ValueError(f"the environment gave {len(found)} outcomes for {len(work)} steps")
        outcomes = iter(found)
        return [
            entry.episode.finish(next(outcomes) if step else None)
            for entry, step in zip(batch, steps, strict=True)
        ]
