"""Audits, for each epoch's end, the number of injected tasks and the fraction carried over.

It is computed a second time, so that the audit does not rely on the code that it checks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import floor

from rods.config import Config

End = tuple[int, int, Fraction]
"""Epoch, step and carried-over fraction of an epoch's end; see `rods.store.rows.EndRow`."""


class Limit:
    """How many tasks each epoch's end may admit, given the fraction that it inherits."""

    def __init__(self, config: Config, ends: Sequence[End]) -> None:
        self.config, self.beta = config, Fraction(str(config.pool.beta))
        self.left, self.carried = deque(ends), Fraction(0)

    def before(self, step: int | None, epoch: int, active: int) -> Iterator[str]:
        """Check the ends without events before a given step; None: all that are left."""
        while self.left and (step is None or self._place() < (step, epoch)):
            yield from self.at(*self._place(), active, 0)

    def at(self, step: int, epoch: int, active: int, joined: int) -> Iterator[str]:
        """Check one end of an epoch, or an injection outside of any.

        Args:
            active: tasks after retirement, before anything was pruned or injected.
        """
        if not self.left or self._place() != (step, epoch):
            if joined:
                yield f"epoch {epoch}: {joined} injected, at no end of an epoch"
            return
        (ended, _, carried), allowed = self.left.popleft(), Fraction(0)
        if self.config.arm == "rods" and self.config.stage(ended).expand:
            allowed = self.carried + self.beta * active
            self.carried = allowed % 1
        if joined > floor(allowed):
            yield f"epoch {epoch}: {joined} injected, over {floor(allowed)}"
        if carried != self.carried:
            found = f"{carried} of a task was carried over, its pool says {self.carried}"
            yield f"epoch {epoch}: {found}"

    def _place(self) -> tuple[int, int]:
        """Step and epoch that the events of the next end carry."""
        epoch, step, _ = self.left[0]
        return step, epoch + 1
