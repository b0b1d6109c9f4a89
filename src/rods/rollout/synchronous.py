"""Runs asynchronous code for synchronous callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run_coroutine(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the coroutine to its end; in another thread if this one already runs an event loop.

    An interrupt during the wait cancels the coroutine.
    """
    if not _within_loop():
        return asyncio.run(make())
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []

    async def run() -> T:
        task = asyncio.ensure_future(make())
        started.append((asyncio.get_running_loop(), task))
        return await task

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(asyncio.run, run())
        try:
            return done.result()
        except BaseException:
            for loop, task in started:
                if not done.done():
                    loop.call_soon_threadsafe(task.cancel)
            raise


def _within_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
