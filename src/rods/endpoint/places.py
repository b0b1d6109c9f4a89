"""How many requests may be under way at once: fewer after timeouts, slowly more after answers."""

from __future__ import annotations

import asyncio


class Places:
    """Places for requests, in one event loop.

    A timeout halves their number, once for all requests that were under way together. After as many
    answers as there are places, there is one more.

    Args:
        most: places at the beginning, and at most.

    Attributes:
        now: the present number.
    """

    def __init__(self, most: int) -> None:
        self.most = self.now = most
        self._taken = self._answers = self._halvings = 0
        self._changed = asyncio.Condition()

    async def take(self) -> int:
        """Wait for a place; the result is given back with it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._taken < self.now)
            self._taken += 1
        return self._halvings

    async def give_back(self, halvings: int, *, answered: bool, late: bool) -> None:
        """Free a place.

        Args:
            halvings: what `take` returned.
            answered: whether the request was answered.
            late: whether it timed out.
        """
        if late and halvings == self._halvings:
            self.now = max(1, self.now // 2)
            self._halvings, self._answers = self._halvings + 1, 0
        elif answered and self.now < self.most:
            self._answers += 1
            if self._answers >= self.now:
                self.now, self._answers = self.now + 1, 0
        async with self._changed:
            self._taken -= 1
            self._changed.notify(2)  # there may be one place more
