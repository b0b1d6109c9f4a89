"""Answers the requests of many episodes together, for a model that gains by batches."""

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
    """Waits until all episodes in play have asked; then the order of a batch is that of the
    episodes, whoever asked first. Where none has entered, each is answered at once.

    Attributes:
        playing: episodes that have entered and not left.
    """

    def __init__(self) -> None:
        self.playing = 0
        self._waiting: list[Request] = []

    @abstractmethod
    def answer(self, requests: Sequence[Request]) -> list[Generation]:
        """One generation for each request, in their order."""

    def enter(self, episodes: int) -> None:
        """So many episodes begin.

        Raises:
            RuntimeError: others are not over yet.
        """
        if self.playing:
            raise RuntimeError(f"{self.playing} episodes are still in play")
        self.playing = episodes

    def leave(self) -> None:
        """One of them is over."""
        self.playing -= 1
        self._proceed()

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        """Wait for the others, then for the answer."""
        request = Request(ids, sampling, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._proceed()
        return await request.answer

    def _proceed(self) -> None:
        """Answer if nobody else is going to ask."""
        waiting = [request for request in self._waiting if not request.answer.done()]
        if not waiting or len(waiting) < self.playing:
            return
        self._waiting = []
        batch = sorted(waiting, key=lambda request: request.sampling.episode)
        try:
            made = self.answer(batch)
        except Exception as error:  # each of them must know, or it would wait for ever
            for request in batch:
                request.answer.set_exception(error)
            return
        for request, generation in zip(batch, made, strict=True):
            request.answer.set_result(generation)
