"""One request to the endpoint: an answer's words, or a fault with its cause."""

from __future__ import annotations

import json
import math
import os
import time
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from rods.errors import UserError
from rods.synthesis.llm.config import EndpointConfig
from rods.synthesis.llm.fault import Cause, Fault, shortened
from rods.synthesis.llm.repetition import repeating

SECRET = 8  # shorter keys are placeholders such as EMPTY and may stand in any answer
UNSTRUCTURED = ("response_format", "json_schema", "guided", "structured output", "grammar")


class Words(NamedTuple):
    """What the model said, and what it took."""

    text: str
    tokens_in: int
    tokens_out: int


class Connection:
    """Sends single requests; shared by threads.

    Raises:
        UserError: the extra is not installed, or the key cannot be sent.
    """

    def __init__(self, config: EndpointConfig) -> None:
        try:
            import httpx2
            import openai

            from rods.synthesis.llm.transport import Transport
        except ImportError:
            raise UserError(
                "a model endpoint needs the package openai: pip install 'rods[llm]'"
            ) from None
        key = os.environ.get(config.key_env, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise UserError(f"${config.key_env}: the key has characters that no header may have")
        self.config, self._key = config, key
        self._transport = Transport(config.url, config.parallel)
        self._client = openai.OpenAI(
            api_key=key or "none",
            base_url=config.url,
            max_retries=0,
            timeout=config.timeout,
            default_headers={"Accept-Encoding": "identity"},
            http_client=httpx2.Client(transport=self._transport, follow_redirects=False),
        )

    def send(self, system: str, user: str, response_format: dict[str, Any] | None) -> Words:
        """The answer to one prompt.

        Raises:
            Fault: there is none. Neither the key nor the request hangs on it.
        """
        got = self._post(system, user, response_format)
        if isinstance(got, Fault):
            got.detail = shortened(self._clean(got.detail, always=True))
            raise got
        return got

    def close(self) -> None:
        self._client.close()

    def _clean(self, text: str, *, always: bool = False) -> str:
        if self._key and (always or len(self._key) >= SECRET):
            text = text.replace(self._key, "***")
        return _whole(text)

    def _post(
        self, system: str, user: str, response_format: dict[str, Any] | None
    ) -> Words | Fault:
        import httpcore2
        import httpx2
        import openai

        from rods.synthesis.llm.transport import Encoded, TooLong

        config = self.config
        body: dict[str, Any] = {
            "model": config.model,
            "messages": [
                {"role": "system", "content": _whole(system)},
                {"role": "user", "content": _whole(user)},
            ],
            "temperature": config.temperature,
            "top_p": config.top_p,
            "max_tokens": config.max_tokens,
        }
        if response_format is not None:
            body["response_format"] = response_format
        try:
            with self._transport.clock.limit(config.timeout):
                # The typed method would walk through the schema anew for every question.
                answer = self._client.post("/chat/completions", cast_to=httpx2.Response, body=body)
            return self._words(answer.content)
        except Fault as fault:
            return fault
        except TooLong as error:
            start = error.start.decode("utf-8", "replace")
            cause = Cause.REPEATS if repeating(start) else Cause.TOO_LONG
            return Fault(cause, f"more than {len(error.start)} bytes", text=self._clean(start))
        except Encoded:
            return Fault(Cause.NOT_CHAT, "the response is compressed")
        except openai.APIStatusError as error:
            return self._refusal(error.status_code, error.response.text, error.response.headers)
        except (httpcore2.TimeoutException, openai.APITimeoutError):
            return Fault(Cause.TIMEOUT, f"no complete answer in {config.timeout:g} s")
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ProxyError) as error:
            return Fault(Cause.DOWN, self._clean(f"{type(error).__name__}: {error}", always=True))
        except (openai.OpenAIError, OSError) as error:
            return Fault(Cause.DOWN, self._clean(f"{type(error).__name__}: {error}", always=True))

    def _words(self, content: bytes) -> Words:
        """The words of a chat completion.

        Raises:
            Fault: it is none, or it is cut off, empty, or a refusal.
        """
        body = self._clean(content.decode("utf-8", "replace"))
        if not body.strip():
            raise Fault(Cause.EMPTY, "the response has no bytes")
        try:
            data = json.loads(body)
            choice = data["choices"][0]
            message, finish = choice["message"], choice.get("finish_reason")
            said, refusal = message.get("content"), message.get("refusal")
            usage = data.get("usage")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise Fault(Cause.NOT_CHAT, body) from None
        if isinstance(said, list):
            parts = [part.get("text") for part in said if isinstance(part, dict)]
            said = "".join(part for part in parts if isinstance(part, str))
        text = self._clean(said) if isinstance(said, str) else ""
        tokens = _number(usage, "prompt_tokens"), _number(usage, "completion_tokens")
        if finish == "length":
            raise Fault(
                Cause.REPEATS if repeating(text) else Cause.CUT_OFF,
                text[-300:],
                text=text,
                tokens=tokens,
            )
        if finish == "content_filter" or (refusal and not text):
            raise Fault(
                Cause.REFUSED,
                refusal if isinstance(refusal, str) else "content filter",
                tokens=tokens,
            )
        if not text.strip():
            raise Fault(Cause.EMPTY, "the answer has no words", tokens=tokens)
        return Words(text, *tokens)

    def _refusal(self, status: int, page: str, headers: Any) -> Fault:
        told = self._clean(_told(self._clean(page, always=True)), always=True)
        detail = f"status {status}: {told}"
        if status in (401, 403):
            detail = f"status {status}; is the key in ${self.config.key_env}? {told}"
        if status == 429:
            cause = Cause.RATE_LIMITED
        elif status == 408:
            cause = Cause.TIMEOUT
        else:
            cause = Cause.DOWN if status >= 500 else Cause.REFUSED
        unstructured = status in (400, 422, 500) and any(w in page.lower() for w in UNSTRUCTURED)
        wait = retry_after(headers.get("retry-after", ""))
        return Fault(cause, detail, wait=wait, unstructured=unstructured)


def retry_after(header: str) -> float | None:
    """Seconds that a Retry-After header asks for: a number or a date. None if it is neither."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header[:100]).timestamp() - time.time()
        except (ValueError, OverflowError, OSError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _whole(text: str) -> str:
    """The text without half characters, which cannot be sent or written."""
    return text.encode("utf-8", "replace").decode()


def _told(page: str) -> str:
    """What an error page says: its message if it is JSON, its beginning otherwise."""
    try:
        data = json.loads(page)
        error = data.get("error", data)
        return str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError, RecursionError):
        return page


def _number(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and 0 <= value < 10**9 else 0
