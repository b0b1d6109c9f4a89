"""What a response says: the model's words, or why there are none."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from rods.synthesis.llm.fault import Cause, Fault
from rods.synthesis.llm.repetition import repeating

Clean = Callable[[str], str]
UNSTRUCTURED = ("response_format", "json_schema", "guided", "structured output", "grammar")


class Words(NamedTuple):
    """What the model said, and what it took."""

    text: str
    tokens_in: int
    tokens_out: int


def words_of(content: bytes, clean: Clean) -> Words:
    """The words of a chat completion.

    Args:
        clean: takes the key out of a text.

    Raises:
        Fault: it is none, or it is cut off, empty, or a refusal.
    """
    body = clean(content.decode("utf-8", "replace"))
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
    text = clean(said) if isinstance(said, str) else ""
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


def refusal_of(status: int, page: str, wait: float | None, clean: Clean) -> Fault:
    """What a bad status means.

    Args:
        wait: seconds that the server asks to wait.
    """
    told = clean(_told(clean(page)))
    if status == 429:
        cause = Cause.RATE_LIMITED
    elif status == 408:
        cause = Cause.TIMEOUT
    else:
        cause = Cause.DOWN if status >= 500 else Cause.REFUSED
    unstructured = status in (400, 422, 500) and any(w in page.lower() for w in UNSTRUCTURED)
    return Fault(cause, f"status {status}: {told}", wait=wait, unstructured=unstructured)


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
