"""Results of asynchronous methods."""

from __future__ import annotations

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_own = threading.local()


def prepare_loop() -> None:
    """Make the event loop of this thread, which opens sockets, before a call is watched."""
    _loop()


def settled(result: Any) -> Any:
    """The result itself; of a coroutine what it returns, after it ran to its end.

    All coroutines of a thread run in one event loop, so that what they share stays bound to it.

    Raises:
        BaseException: whatever the coroutine raises.
    """
    if not inspect.isawaitable(result):
        return result
    loop = _loop()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return loop.run_until_complete(_awaited(result))
    with ThreadPoolExecutor(1) as pool:  # a loop of the caller runs in this thread
        return pool.submit(loop.run_until_complete, _awaited(result)).result()


async def _awaited(result: Any) -> Any:
    return await result


def _loop() -> asyncio.AbstractEventLoop:
    if not hasattr(_own, "loop"):
        _own.loop = asyncio.new_event_loop()
    found: asyncio.AbstractEventLoop = _own.loop
    return found
