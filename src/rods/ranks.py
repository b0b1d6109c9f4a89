"""The processes that train one run together (`torchrun`).

The first process decides: it alone has the loop, the store and the display. All of them play
episodes and train. What must be the same in all is compared, so that a difference is an error at
once and no wait without end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from rods.errors import RepeatedError, UserError

T = TypeVar("T")
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Ranks:
    """One process alone; `rods.trainers.processes.TorchRanks` is one of several.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank = 0
    size = 1

    @property
    def first(self) -> bool:
        """Whether this process decides."""
        return self.rank == 0

    def broadcast(self, value: T | None) -> T | None:
        """The value of the first process, in all processes."""
        return value

    def gather(self, value: T) -> list[T]:
        """The values of all processes in their order, in all processes."""
        return [value]

    def collect(self, value: T) -> list[T]:
        """The values of all processes in their order, in the first process; [] in the others."""
        return [value]

    def close(self) -> None:
        """The run is over: wait for the other processes and end the connection."""

    def decide(self, function: Callable[[], T]) -> T:
        """What `function` returns in the first process, in all processes; others do not call it.

        Raises:
            UserError: it raises one in the first process. The others raise a `RepeatedError`.
        """
        if self.size == 1:
            return function()
        result: T | None = None
        error: UserError | None = None
        if self.first:
            try:
                result = function()
            except UserError as caught:
                error = caught
        sent = self.broadcast((result, str(error) if error else None))
        assert sent is not None
        if error is not None:
            raise error
        if sent[1] is not None:
            raise RepeatedError(sent[1])
        return sent[0]  # type: ignore[return-value]

    def after_first(self, function: Callable[[], T]) -> T:
        """What `function` returns; the first process calls it before the others do.

        So a cache is filled once.

        Raises:
            UserError: it raises one.
        """
        made: list[T] = []
        self.decide(lambda: made.append(function()))
        return made[0] if made else function()

    def agree(self, what: str, value: str) -> None:
        """Check that all processes have the same value.

        Raises:
            UserError: they do not; every process raises it.
        """
        found = self.gather(value)
        others = [str(rank) for rank, each in enumerate(found) if each != found[0]]
        if others:
            which = f"process {others[0]}" if len(others) == 1 else f"processes {', '.join(others)}"
            message = f"{what} of {which} of {self.size} are not those of process 0"
            kind = UserError if self.first else RepeatedError
            raise kind(f"{message}; start all with the same files, packages and settings")

    def start(self, count: int) -> int:
        """Place of this process's first one of so many items that are shared out."""
        return self.rank * count // self.size

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """The items of this process, in order."""
        end = (self.rank + 1) * len(items) // self.size
        return items[self.start(len(items)) : end]


def started() -> Ranks:
    """This process as `torchrun` started it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not all(v in os.environ for v in VARIABLES):
        return Ranks()
    from rods.trainers.processes import TorchRanks

    return TorchRanks()
