"""HTTP within limits: a deadline for a request, and a number of bytes for a response.

This module needs the extra `rods[llm]`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

from rods.synthesis.llm.deadline import Clock, TimedBackend

RESPONSE_BYTES = 256_000  # of an answer
ERROR_BYTES = 8_000  # of a response with a bad status; the rest is not read


class TooLong(Exception):
    """The response has too many bytes; `start` is the part that was read."""

    def __init__(self, start: bytes) -> None:
        super().__init__("response too long")
        self.start = start


class Encoded(Exception):
    """The response is compressed although the request excludes it."""


class _Body(httpx2.SyncByteStream):
    """A response's bytes: too many are an error if `strict`; otherwise the rest is not read."""

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
        connections: the most at once.
        stopped: ends requests that are under way.

    Attributes:
        through: for messages: the proxy that is used, or "".
    """

    def __init__(self, url: str, connections: int, stopped: threading.Event) -> None:
        self.clock = Clock(stopped)
        common: dict[str, Any] = {
            "max_connections": connections,
            "max_keepalive_connections": connections,
            "keepalive_expiry": 30.0,
            "network_backend": TimedBackend(self.clock),
        }
        if urlsplit(url).scheme == "https":
            common["ssl_context"] = httpx2.create_ssl_context()
        proxy = _proxy(url)
        self.through = f" through the proxy {proxy['proxy_url']}" if proxy else ""
        self.pool = (
            httpcore2.HTTPProxy(**proxy, **common) if proxy else httpcore2.ConnectionPool(**common)
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The response, its body not read yet.

        Raises:
            Encoded: it is compressed; a small one could expand without limit.
            httpcore2 exceptions: the network failed or the deadline is over.
            KeyboardInterrupt: the endpoint was stopped.
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
        ok = got.status < 400
        body = _Body(got.stream, RESPONSE_BYTES if ok else ERROR_BYTES, strict=ok)
        headers = [(n, v) for n, v in got.headers if n.lower() != b"content-type"]  # always UTF-8
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
    """The proxy that the environment names for the URL, in the form of httpcore2."""
    parts, known = urlsplit(url), getproxies()
    address = known.get(parts.scheme) or known.get("all") or ""
    if not address.startswith("http") or proxy_bypass(parts.hostname or ""):
        return {}
    proxy = urlsplit(address)
    auth = (unquote(proxy.username), unquote(proxy.password or "")) if proxy.username else None
    bare = proxy._replace(netloc=proxy.netloc.rpartition("@")[2], path="").geturl()
    return {"proxy_url": bare, "proxy_auth": auth}
