"""An event loop in its own thread, for callers in other threads."""

from __future__ import annotations

import asyncio
import socket
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from rods.rollout.worker_thread import WorkerThread

T = TypeVar("T")


class _Loop(asyncio.SelectorEventLoop):
    async def getaddrinfo(self, host: Any, port: Any, **more: int) -> Any:
        """Addresses; not by the loop's own threads, since the program cannot exit before they end.

        A look-up of a name cannot be cancelled, and can take minutes.
        """
        search = partial(socket.getaddrinfo, host, port, **more)
        return await WorkerThread().call(search)


class LoopThread:
    """Runs coroutines for other threads. It ends when nothing refers to it any more.

    The program can exit while a coroutine runs.

    Attributes:
        stopped: whether `stop` was called.
    """

    stopped = False

    def __init__(self) -> None:
        self._loop = _Loop()
        threading.Thread(target=_work, args=(self._loop,), daemon=True).start()
        weakref.finalize(self, self._loop.call_soon_threadsafe, self._loop.stop)

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the coroutine returns or raises.

        Raises:
            KeyboardInterrupt: `stop` was called before its end.
        """
        return self.finish(self._unless_stopped(make))

    def finish(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The same, also if `stop` was called before its beginning."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise KeyboardInterrupt from None
        finally:
            future.cancel()  # if this wait was interrupted

    def stop(self) -> None:
        """Cancel all coroutines, from any thread."""
        self.stopped = True
        with suppress(RuntimeError):  # the program ends, and the loop is closed
            self._loop.call_soon_threadsafe(_cancel_all, self._loop)

    async def _unless_stopped(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self.stopped:  # it was not among those that are cancelled
            raise asyncio.CancelledError
        return await make()


def _work(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
