"""Answers the requests of many episodes in batches, for models that are faster with batches."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from rods.rollout.policy import Generation, Sampling


class Request(NamedTuple):
    """An episode that waits for its next action."""

    ids: Sequence[int]
    sampling: Sampling
    answer: asyncio.Future[Generation]


class Gathering(ABC):
    """A policy that waits until all playing episodes have made a request, and answers all at once.

    The order in a batch is that of the episodes, and does not depend on the times of the requests.
    If no episode has entered, each request is answered at once.

    Attributes:
        playing: number of episodes that have entered and not left.
    """

    def __init__(self) -> None:
        self.playing = 0
        self._waiting: list[Request] = []

    @abstractmethod
    def answer(self, requests: Sequence[Request]) -> list[Generation]:
        """One generation for each request, in their order."""

    def enter(self, episodes: int) -> None:
        """This number of episodes begins.

        Raises:
            RuntimeError: earlier episodes have not ended.
        """
        if self.playing:
            raise RuntimeError(f"{self.playing} episodes are still playing")
        self.playing = episodes

    def leave(self) -> None:
        """One of them has ended."""
        self.playing -= 1
        self._proceed()

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        """Wait for the requests of the others, then for the answer."""
        request = Request(ids, sampling, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._proceed()
        return await request.answer

    def _proceed(self) -> None:
        """Answer if all playing episodes have made a request."""
        if len(self._waiting) < self.playing:
            return
        self._waiting = [request for request in self._waiting if not request.answer.done()]
        if not self._waiting or len(self._waiting) < self.playing:
            return
        batch = sorted(self._waiting, key=lambda request: request.sampling.episode)
        self._waiting = []
        try:
            answered = list(zip(batch, self.answer(batch), strict=True))
        except Exception as error:  # each episode gets it; otherwise they would wait without end
            for request in batch:
                request.answer.set_exception(error)
            return
        for request, generation in answered:
            request.answer.set_result(generation)
