"""How long training steps take, and their parts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple


class StepTime(NamedTuple):
    """Seconds of a training step, and of those of its parts that were measured, by name."""

    seconds: float
    parts: Mapping[str, float]


class StepClock:
    """Measures step after step."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A step begins now."""
        self._began, self._parts = time.monotonic(), dict[str, float]()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What runs inside is a part of the step; parts of one name are added up."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._parts[name] = self._parts.get(name, 0.0) + time.monotonic() - began

    def step(self) -> StepTime:
        """The step that ends now; the next one begins."""
        found = StepTime(time.monotonic() - self._began, self._parts)
        self.restart()
        return found
