"""The scripted model of the tests behind a server in a process of its own."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


class Served:
    """A running server.

    Attributes:
        url: its address.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self.url = pipe, pipe.recv()

    def seen(self) -> dict[str, Any]:
        """Counts so far: "requests", "highest" at once, "arrivals" (seconds), "kinds"."""
        self._pipe.send("seen")
        return self._pipe.recv()


@contextmanager
def served(seed: int, faults: float, lies: float, latency: float = 0.0) -> Iterator[Served]:
    """A server whose model is competent but for a share of faults and of lies."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, seed, faults, lies, latency))
    process.start()
    try:
        yield Served(here)
    finally:
        here.send("end")
        process.join(5)
        process.kill()


def _serve(pipe: Connection, seed: int, faults: float, lies: float, latency: float) -> None:
    from hostile import Hostile
    from scripted_endpoint import Reply, ScriptedEndpoint

    script, arrivals = Hostile(seed, faults, lies), list[float]()

    def answer(request: dict[str, Any]) -> Reply:
        arrivals.append(time.monotonic())
        reply = script(request)
        return replace(reply, delay=latency) if latency else reply

    with ScriptedEndpoint(answer) as server:
        pipe.send(server.url)
        while pipe.recv() == "seen":
            seen = {"requests": server.requests, "highest": server.highest}
            pipe.send({**seen, "arrivals": list(arrivals), "kinds": dict(script.done)})
