"""Where episodes meet their environment: outside the event loop, and many at a time.

Whatever waits while one visit is under way makes up the next one. All that may call the environment
happens there, so nothing that it does stops an event loop: a step's calls, the state that a hint
reads, and the end of a session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any, NamedTuple, TypeVar

from rods.envs.base import Environment, Step
from rods.rollout.episode import Action, Ending, Episode
from rods.rollout.messages import Message

T = TypeVar("T")


class _Visit(NamedTuple):
    """An action that an episode takes, or how it ends without one."""

    episode: Episode
    act: Action | Ending
    said: str
    seen: asyncio.Future[list[Message]]


class Desk:
    """Takes the actions of episodes to their environment."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._waiting: list[_Visit] = []
        self._server: asyncio.Task[None] | None = None

    async def act(self, episode: Episode, action: Action, said: str) -> list[Message]:
        """`Episode.act`, together with others.

        Raises:
            NoProcessError: nothing can be run at all.
        """
        return await self._visit(episode, action, said)

    async def end(self, episode: Episode, ending: Ending) -> None:
        """`Episode.end`."""
        await self._visit(episode, ending, "")

    async def _visit(self, episode: Episode, act: Action | Ending, said: str) -> list[Message]:
        loop = asyncio.get_running_loop()
        visit = _Visit(episode, act, said, loop.create_future())
        self._waiting.append(visit)
        if self._server is None:
            self._server = loop.create_task(self._serve())
        return await visit.seen

    async def _serve(self) -> None:
        """Visit the environment until nobody waits."""
        while self._waiting:
            visits, self._waiting = self._waiting, []
            try:
                found = await in_thread(self._together, visits)
            except Exception as error:  # each of them must know, or it would wait for ever
                for visit in visits:
                    if not visit.seen.done():
                        visit.seen.set_exception(error)
            else:
                for visit, seen in zip(visits, found, strict=True):
                    if not visit.seen.done():  # as of an episode that was cancelled
                        visit.seen.set_result(seen)
        self._server = None

    def _together(self, visits: Sequence[_Visit]) -> list[list[Message]]:
        steps: list[Step | None] = []
        for episode, act, said, _ in visits:
            if isinstance(act, Ending):
                episode.end(act)
            steps.append(episode.begin(act, said) if isinstance(act, Action) else None)
        outcomes = iter(self._env.execute([step for step in steps if step]))
        return [
            visit.episode.finish(next(outcomes) if step else None)
            for visit, step in zip(visits, steps, strict=True)
        ]


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call it in a thread of its own, which no exit of the program waits for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # the result of `function`

    def work() -> None:
        result, error = None, None
        try:
            result = function(*arguments)
        except BaseException as caught:
            error = caught
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    Thread(target=work, daemon=True).start()
    return await future
