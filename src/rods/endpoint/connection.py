"""Single requests: the bytes of a response within a time and a size, or a fault with its cause.

This module needs the extra `rods[llm]`.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
import openai

from rods.endpoint.answer import repeating
from rods.endpoint.config import EndpointConfig
from rods.endpoint.fault import Cause, Fault, shortened
from rods.endpoint.refusal import Clean, refusal_of, retry_after
from rods.endpoint.request import whole
from rods.errors import UserError

T = TypeVar("T")

SECRET = 8  # characters; shorter keys are placeholders such as EMPTY, which any answer may contain
RESPONSE_BYTES = 256_000  # of an answer; the least limit
TOKEN_BYTES = 256  # of an answer's token, also if it is streamed although it should not be
LOGPROB_BYTES = 1_024  # of a token with its log-probability
ERROR_BYTES = 8_000  # of a response with a bad status; the rest is not read

_limit: ContextVar[int] = ContextVar("_limit", default=RESPONSE_BYTES)  # of this task's response


class _TooLong(Exception):
    """The response has too many bytes; `start` is the part that was read."""

    def __init__(self, start: bytes) -> None:
        super().__init__("response too long")
        self.start = start


class _Encoded(Exception):
    """The response is compressed although the request excludes it."""


class _Body(httpx2.AsyncByteStream):
    """A response's bytes: too many are an error if `strict`; otherwise the rest is not read."""

    def __init__(self, stream: Any, limit: int, *, strict: bool) -> None:
        self.stream, self.limit, self.strict = stream, limit, strict

    async def __aiter__(self) -> AsyncIterator[bytes]:
        kept = bytearray()
        async for part in self.stream:
            kept += part
            if len(kept) > self.limit:
                if self.strict:
                    raise _TooLong(bytes(kept[: self.limit]))
                return
            yield part

    async def aclose(self) -> None:
        await self.stream.aclose()


async def _limited(response: httpx2.Response) -> None:
    """Limit the bytes of a response before they are read.

    Raises:
        _Encoded: it is compressed; a small one could expand without limit.
    """
    if response.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise _Encoded
    response.headers.pop("content-type", None)  # always UTF-8
    ok = response.status_code < 400
    response.stream = _Body(response.stream, _limit.get() if ok else ERROR_BYTES, strict=ok)


class Connection:
    """Sends single requests from one event loop.

    Raises:
        UserError: the key cannot be sent.
    """

    def __init__(self, config: EndpointConfig) -> None:
        key = os.environ.get(config.key_env, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise UserError(f"${config.key_env}: the key has characters that no header may have")
        self.config, self._key, proxy = config, key, _proxy(config.url)
        self._through = f" through the proxy {proxy.url}" if proxy else ""
        self._client = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=config.url,
            max_retries=0,
            timeout=None,  # see `send`: the timeouts of HTTP libraries are for one read each
            default_headers={"Accept-Encoding": "identity"},
            http_client=httpx2.AsyncClient(
                proxy=proxy,
                # The standard library's rules say which proxy is used; see `_proxy`.
                verify=httpx2.create_ssl_context(),
                trust_env=False,
                limits=httpx2.Limits(
                    max_keepalive_connections=config.parallel, keepalive_expiry=30.0
                ),
                event_hooks={"response": [_limited]},
            ),
        )

    async def send(self, path: str, body: dict[str, Any], read: Callable[[bytes, Clean], T]) -> T:
        """What `read` returns for the response to one request.

        Args:
            path: is added to the endpoint's URL.
            read: is given the content, and a function that removes the key from a text.

        Raises:
            Fault: there is no response, or `read` raised it.
        """
        got = await self._post(path, body, read)
        if isinstance(got, Fault):
            if got.status in (401, 403):
                named = f"the key in ${self.config.key_env} is not accepted"
                got.detail = f"{named}: {got.detail}"
            got.detail = shortened(self.hide(got.detail))
            raise got
        return got

    async def close(self) -> None:
        await self._client.close()

    def hide(self, text: str) -> str:
        """The text without the key."""
        return str(whole(text.replace(self._key, "***") if self._key else text))

    def clean(self, text: str) -> str:
        """The text without the key, unless the key is so short that answers may contain it."""
        return self.hide(text) if len(self._key) >= SECRET else str(whole(text))

    async def _post(
        self, path: str, body: dict[str, Any], read: Callable[[bytes, Clean], T]
    ) -> T | Fault:
        _limit.set(_bytes(body))
        try:
            async with asyncio.timeout(self.config.timeout):
                # The typed method would process the schemas again for every question.
                answer = await self._client.post(path, cast_to=httpx2.Response, body=body)
            return read(answer.content, self.clean)
        except Fault as fault:
            return fault
        except (TimeoutError, openai.APITimeoutError):
            return Fault(Cause.TIMEOUT, f"no complete answer in {self.config.timeout:g} s")
        except _TooLong as error:
            start = error.start.decode("utf-8", "replace")
            cause = Cause.REPEATS if repeating(start) else Cause.TOO_LONG
            message = ", streamed although it should not be" if start.startswith("data:") else ""
            detail = f"more than {len(error.start)} bytes{message}"
            return Fault(cause, detail, text=self.clean(start))
        except _Encoded:
            return Fault(Cause.NOT_CHAT, "the response is compressed")
        except openai.APIStatusError as error:
            return self._refused(error.status_code, error.response)
        except (openai.OpenAIError, httpx2.HTTPError, OSError) as error:
            inner = error.__cause__ or error
            if isinstance(inner, httpx2.ConnectError | ssl.SSLError):
                message = f"no connection{self._through}: {_root(inner)}"
                return Fault(Cause.DOWN, self.hide(message), unreachable=True)
            return Fault(Cause.DOWN, self.hide(f"{type(inner).__name__}: {inner}"))

    def _refused(self, status: int, response: httpx2.Response) -> Fault:
        """The fault that a bad status means."""
        if 300 <= status < 400:
            location = self.hide(response.headers.get("location", "another address"))
            message = f"status {status}: it leads to {location}; write its address as the url"
            return Fault(Cause.REFUSED, message, status=status)
        wait = retry_after(response.headers.get("retry-after", ""))
        return refusal_of(status, response.text, self.hide, wait)


def _bytes(body: dict[str, Any]) -> int:
    """Most bytes of the response to a request."""
    tokens = body.get("max_tokens") or body.get("max_completion_tokens") or 0
    each = LOGPROB_BYTES if body.get("logprobs") is not None else TOKEN_BYTES
    return max(RESPONSE_BYTES, int(tokens) * each)


def _root(error: BaseException) -> BaseException:
    """The first of the errors that led to this one: the operating system's."""
    while True:
        inner = error.__cause__ or error.__context__
        if isinstance(error, BaseExceptionGroup):
            inner = error.exceptions[0]
        if inner is None or not str(inner):
            return error
        error = inner


def _proxy(url: str) -> httpx2.Proxy | None:
    """The proxy that the environment names for the URL."""
    parts, known = urlsplit(url), getproxies()
    address = known.get(parts.scheme) or known.get("all") or ""
    if not address.startswith("http") or proxy_bypass(parts.hostname or ""):
        return None
    return httpx2.Proxy(address)
