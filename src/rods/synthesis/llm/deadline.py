"""A deadline for a whole request, and a stop of all requests at once.

The timeouts of HTTP libraries are for one read each, so a server that sends single bytes can hold a
request without end. Here no wait on the network is longer than the time until the deadline. Every
wait has slices; between them it is checked whether the requests were stopped.

This module needs the extra `rods[llm]`.
"""

from __future__ import annotations

import queue
import select
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2

SLICE = 0.5  # seconds of one wait, after which a stop is noticed
PIECE = 4096  # bytes of one write to a socket that is ready


class Clock(threading.local):
    """The deadline of this thread's request.

    Args:
        stopped: ends the requests of all threads.
    """

    deadline = float("inf")

    def __init__(self, stopped: threading.Event) -> None:
        self.stopped = stopped

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """All waits inside take at most this time in total."""
        self.deadline = time.monotonic() + seconds
        try:
            yield
        finally:
            del self.deadline

    def left(self, timeout: float | None, late: type[Exception]) -> float:
        """Seconds that a wait may take.

        Raises:
            late: the deadline is over.
            KeyboardInterrupt: the requests were stopped.
        """
        if self.stopped.is_set():
            raise KeyboardInterrupt
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise late("deadline")
        return left if timeout is None else min(left, timeout)

    def slice(self, late: type[Exception]) -> float:
        """Seconds of the next part of a wait; see `left`."""
        return self.left(SLICE, late)


class TimedStream(httpcore2.NetworkStream):
    """A connection that observes the deadline."""

    def __init__(self, inner: httpcore2.NetworkStream, clock: Clock) -> None:
        self.inner, self.clock = inner, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            seconds = self.clock.slice(httpcore2.ReadTimeout)
            try:
                return self.inner.read(max_bytes, seconds)
            except httpcore2.ReadTimeout:  # nothing was lost; the deadline may be later
                continue

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        ready = select.poll()
        ready.register(self.inner.get_extra_info("socket"), select.POLLOUT)
        for at in range(0, len(buffer), PIECE):
            while not ready.poll(1000 * self.clock.slice(httpcore2.WriteTimeout)):
                pass
            left = self.clock.left(timeout, httpcore2.WriteTimeout)
            self.inner.write(buffer[at : at + PIECE], left)

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        left = self.clock.left(timeout, httpcore2.ConnectTimeout)
        inner = _in_thread(
            lambda: self.inner.start_tls(ssl_context, server_hostname, left), self.clock
        )
        return TimedStream(inner, self.clock)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class TimedBackend(httpcore2.NetworkBackend):
    """Opens connections that observe the deadline."""

    def __init__(self, clock: Clock) -> None:
        self.inner, self.clock = httpcore2.SyncBackend(), clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        left = self.clock.left(timeout, httpcore2.ConnectTimeout)
        inner = _in_thread(
            lambda: self.inner.connect_tcp(host, port, left, local_address, socket_options),
            self.clock,
        )
        return TimedStream(inner, self.clock)


def _in_thread(
    connect: Callable[[], httpcore2.NetworkStream], clock: Clock
) -> httpcore2.NetworkStream:
    """A connection that is made in another thread, since this wait cannot be sliced.

    Raises:
        httpcore2 exceptions: it cannot be made, or not before the deadline.
    """
    made: queue.SimpleQueue[httpcore2.NetworkStream | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            made.put(connect())
        except BaseException as error:
            made.put(error)

    threading.Thread(target=run, daemon=True).start()
    while True:
        try:
            got = made.get(timeout=clock.slice(httpcore2.ConnectTimeout))
        except queue.Empty:
            continue
        if isinstance(got, BaseException):
            raise got
        return got
