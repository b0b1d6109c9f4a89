"""HTTP within limits: a request has a deadline as a whole, and a response so many bytes.

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
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

RESPONSE_BYTES = 256_000  # of an answer
ERROR_BYTES = 8_000  # of the page that comes with a bad status; the rest is not read


class TooLong(Exception):
    """The response has more bytes than it may have; `start` is what was read."""

    def __init__(self, start: bytes) -> None:
        super().__init__("response too long")
        self.start = start


class Encoded(Exception):
    """The response is compressed although that was not asked for."""


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


class _Stream(httpcore2.NetworkStream):
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
        return _Stream(self.inner.start_tls(ssl_context, server_hostname, left), self.clock)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class _Backend(httpcore2.NetworkBackend):
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
        return _Stream(inner, self.clock)


class _Body(httpx2.SyncByteStream):
    """A response's bytes: too many are an error, or the end if nobody needs the rest."""

    def __init__(self, stream: Any, limit: int, *, strict: bool) -> None:
        self.stream, self.limit, self.strict = stream, limit, strict

    def __iter__(self) -> Iterator[bytes]:
        kept = bytearray()
        for part in self.stream:
            kept += part
            if len(kept) > self.limit:
                if self.strict:
                    raise TooLong(bytes(kept[: self.limit]))
                return
            yield part

    def close(self) -> None:
        self.stream.close()


class Transport(httpx2.BaseTransport):
    """Sends requests to one endpoint; shared by threads.

    Args:
        url: the endpoint, for which the environment may name a proxy.
        connections: most of them at once.
    """

    def __init__(self, url: str, connections: int) -> None:
        self.clock = Clock()
        common: dict[str, Any] = {
            "max_connections": connections,
            "max_keepalive_connections": connections,
            "keepalive_expiry": 30.0,
            "network_backend": _Backend(self.clock),
        }
        if urlsplit(url).scheme == "https":
            common["ssl_context"] = httpx2.create_ssl_context()
        proxy = _proxy(url)
        self.pool = (
            httpcore2.HTTPProxy(**proxy, **common) if proxy else httpcore2.ConnectionPool(**common)
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The response, its body not read yet.

        Raises:
            Encoded: it is compressed; small ones may unpack to anything.
            httpcore2 exceptions: the network failed or the deadline is over.
        """
        url = request.url
        sent = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        got = self.pool.handle_request(sent)
        fine = got.status < 400
        body = _Body(got.stream, RESPONSE_BYTES if fine else ERROR_BYTES, strict=fine)
        headers = [(n, v) for n, v in got.headers if n.lower() != b"content-type"]  # ever UTF-8
        encoded = [v for n, v in headers if n.lower() == b"content-encoding"]
        if any(value.strip().lower() not in (b"", b"identity") for value in encoded):
            body.close()
            raise Encoded
        return httpx2.Response(
            status_code=got.status, headers=headers, stream=body, extensions=got.extensions
        )

    def close(self) -> None:
        self.pool.close()


def _proxy(url: str) -> dict[str, Any]:
    """The proxy that the environment names for the URL, as httpcore2 wants it."""
    parts, known = urlsplit(url), getproxies()
    address = known.get(parts.scheme) or known.get("all") or ""
    if not address.startswith("http") or proxy_bypass(parts.hostname or ""):
        return {}
    proxy = urlsplit(address)
    auth = (unquote(proxy.username), unquote(proxy.password or "")) if proxy.username else None
    bare = proxy._replace(netloc=proxy.netloc.rpartition("@")[2], path="").geturl()
    return {"proxy_url": bare, "proxy_auth": auth}
