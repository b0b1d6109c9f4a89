"""An event loop in a thread of its own: the servers of an environment, for synchronous callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Host:
    """Runs coroutines for any thread. The thread ends with the process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="mcp", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine.

        Raises:
            InterruptedError: `interrupt` was called before it was done; what it does at its
                cancellation is done.
        """
        if self._closed:
            coroutine.close()
            raise InterruptedError("the environment is not used any more")
        done: Future[T] = Future()
        started: list[asyncio.Task[T]] = []

        def start() -> None:
            task = self._loop.create_task(coroutine)
            started.append(task)
            self._running.add(task)
            task.add_done_callback(lambda task: self._finish(task, done))

        self._loop.call_soon_threadsafe(start)
        try:
            return done.result()
        except KeyboardInterrupt:
            self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in started])
            raise

    def interrupt(self) -> None:
        """End all that `run` waits for in other threads."""
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._running])

    def finish(
        self, work: Callable[[], Coroutine[Any, Any, None]], then: Callable[[], None]
    ) -> None:
        """Do the last work, then end the thread; returns at once.

        The garbage collector may call this at any place of any thread, which may hold any lock, so
        it must not wait.
        """
        self._closed = True
        self._loop.call_soon_threadsafe(self._last, work, then)

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, but no longer than this."""
        self._thread.join(seconds)

    def _last(
        self, work: Callable[[], Coroutine[Any, Any, None]], then: Callable[[], None]
    ) -> None:
        def done(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                task.exception()  # nobody is left to tell
            then()
            self._loop.stop()

        self._loop.create_task(work()).add_done_callback(done)

    def _finish(self, task: asyncio.Task[T], done: Future[T]) -> None:
        self._running.discard(task)
        if task.cancelled():
            done.set_exception(InterruptedError("the calls were interrupted"))
        elif (error := task.exception()) is not None:
            done.set_exception(error)
        else:
            done.set_result(task.result())
