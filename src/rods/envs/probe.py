"""What a call does that no tool should, by name, for `rods envs check`.

Actions that reach outside the process are stopped. A probe finds mistakes; it is no sandbox for
hostile code.
"""

from __future__ import annotations

import os
import random
import sys
from types import FrameType, ModuleType
from typing import Any

OUTSIDE = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "ctypes.")
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "shutil.")
CLOCKS = frozenset(
    {"date.today", "datetime.now", "datetime.utcnow", "datetime.today", "time.time", "time.time_ns"}
)
GLOBAL = random.random.__self__  # type: ignore[attr-defined]  # the generator of the module
MACHINERY = frozenset(
    {"asyncio", "logging", "loguru", "structlog", "threading", "selectors", "concurrent", "queue"}
)
"""Packages that read clocks for their own purposes."""
MOST_SHOWN = 40  # characters of a printed line


class Probe:
    """Records what calls do while it is entered.

    Attributes:
        seen: each kind of action by its name.
    """

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._active = self._seeded = False
        sys.dont_write_bytecode = True  # so that an import in a method writes no file
        sys.addaudithook(self._hear)
        sys.stdout = sys.stderr = self

    def __enter__(self) -> Probe:
        self._active, self._seeded = True, False
        sys.setprofile(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        self._active = False

    def write(self, text: str) -> int:
        if self._active and text.strip():
            self.seen.add(f"prints {text.strip()[:MOST_SHOWN]!r}")
        return len(text)

    def flush(self) -> None:
        """Does nothing, since no text is stored."""

    def _watch(self, frame: FrameType, event: str, function: Any) -> None:
        """Called for each call of a function in C, with the frame that calls it."""
        if event != "c_call" or function is None:
            return
        owner = getattr(function, "__self__", None)
        if owner is GLOBAL:
            if function.__name__ == "seed":
                self._seeded = True
            elif not self._seeded:
                self.seen.add("draws a random number: the module random, without a seed")
        elif function is os.urandom:
            self.seen.add("draws a random number: os.urandom")
        elif isinstance(owner, type | ModuleType):
            name = f"{owner.__name__}.{function.__name__}"
            module = str(frame.f_globals.get("__name__", ""))
            if name in CLOCKS and module.partition(".")[0] not in MACHINERY:
                self.seen.add(f"reads the clock: {name}")

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._active:
            return
        writes = event == "open" and isinstance(arguments[1], str) and arguments[1][:1] in "wax+"
        if writes or event.startswith((*OUTSIDE, *CHANGES)):
            what = "writes a file" if writes or event.startswith(CHANGES) else f"uses {event}"
            self.seen.add(what)
            raise PermissionError(f"stopped by the check: {what}")
