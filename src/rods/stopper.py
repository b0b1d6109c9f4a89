"""SIGINT and SIGTERM: at once while nothing is at stake, at the next safe point while there is."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopper:
    """Within its context a signal raises `KeyboardInterrupt`, or, in safe mode, is only noted.

    A second signal always raises.

    Attributes:
        number: of the first signal that came, or 0.
        safe: whoever set it looks at `number` at its safe points.
    """

    def __init__(self) -> None:
        self.number = 0
        self.safe = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopper:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._note) for s in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        first, self.number = not self.number, self.number or number
        if not (self.safe and first):
            raise KeyboardInterrupt
