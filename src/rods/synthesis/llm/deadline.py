"""A deadline for a request as a whole.

The timeouts of HTTP libraries are for one read each, so a server that sends a byte now and then
holds a request for ever. Here no wait on the network is longer than what is left of the deadline.
Only looking up the host's name is outside of it.

This module needs the extra `rods[llm]`.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2


class Clock(threading.local):
    """The deadline of the request that this thread is at."""

    deadline = float("inf")

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """All waits inside take at most so many seconds together."""
        self.deadline = time.monotonic() + seconds
        try:
            yield
        finally:
            del self.deadline

    def left(self, timeout: float | None, late: type[Exception]) -> float:
        """Seconds that a wait may take.

        Raises:
            late: there are none left.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise late("deadline")
        return left if timeout is None else min(left, timeout)


class TimedStream(httpcore2.NetworkStream):
    """A connection that keeps to the deadline."""

    def __init__(self, inner: httpcore2.NetworkStream, clock: Clock) -> None:
        self.inner, self.clock = inner, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.inner.read(max_bytes, self.clock.left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.inner.write(buffer, self.clock.left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        left = self.clock.left(timeout, httpcore2.ConnectTimeout)
        return TimedStream(self.inner.start_tls(ssl_context, server_hostname, left), self.clock)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class TimedBackend(httpcore2.NetworkBackend):
    """Opens connections that keep to the deadline."""

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
        inner = self.inner.connect_tcp(host, port, left, local_address, socket_options)
        return TimedStream(inner, self.clock)
