"""The content of a server's error: its status, its text, and the field that it names."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from rods.endpoint.fault import Cause, Fault

Clean = Callable[[str], str]
ERRORS = (
    *("error", "errors", "detail", "base_resp", "message", "msg", "Message"),
    *("error_msg", "error_message", "errorMessage", "status_msg"),
)
"""Fields of which one has the error, if a body has no choices."""
INNER = ERRORS[:4]  # those of them that may contain an object
STATUSES = {status.name: status.value for status in HTTPStatus if status >= 400} | {
    "RATE_LIMIT": 429,
    "RESOURCE_EXHAUSTED": 429,
    "QUOTA": 429,
    "THROTTL": 429,
    "REQUEST_LIMIT": 429,
    "API_KEY": 401,
    "AUTHENTICATION": 401,
    "UNAUTHENTICATED": 401,
    "PERMISSION": 403,
    "OVERLOAD": 503,
    "UNAVAILABLE": 503,
    "BUSY": 503,
    "CAPACITY": 503,
    "LOADING": 503,
    "TRY_AGAIN": 503,
    "SERVER_ERROR": 500,
    "INTERNAL_ERROR": 500,
    "TIMEOUT": 408,
    "TIMED_OUT": 408,
}
"""Statuses by their names: those of HTTP, and some of large services."""
NUMBERED = re.compile(r"(?:^|code|status|http|error)\W{0,4}([45]\d\d)\b", re.IGNORECASE)
UNKNOWN = 400
SPENT = re.compile(
    r"insufficient[_ ](?:quota|balance|credit|fund)|exceeded_current_quota|credit balance"
    r"|(?:out of|more) credits|payment required",
    re.IGNORECASE,
)
"""The paid quota is used up, so the request is not repeated, whatever the status is."""
NO_MODEL = re.compile(
    r"model[_ ]not[_ ](?:found|exist)|not a valid model|no such model"
    r"|invalid[_ ]model(?:[_ ](?:name|id\w*))?\s*(?:[:\"\\'`]|passed|$)"
    r'|"param": "model"|provider not provided',
    re.IGNORECASE,
)
"""There is no model of that name; some servers report it with another status than 404."""


def error_in(data: Any) -> Any:
    """The error in the body of an answer; None if it has none."""
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict):
        return None
    choices = data.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    for part in (first, first.get("message") if isinstance(first, dict) else None):
        if isinstance(part, dict) and part.get("error"):
            return part["error"]
    if data.get("error") or data.get("object") == "error":
        return data
    words = [data.get(name) for name in ERRORS]
    is_error = any(word for word in words if not (isinstance(word, dict) and "role" in word))
    return data if is_error and not choices else None


def fault_of(error: Any, clean: Clean) -> Fault:
    """The fault of an error in the body of an answer, as if the response had its status."""
    return _fault(_status(error), error, clean)


def refusal_of(status: int, page: str, clean: Clean, wait: float | None = None) -> Fault:
    """The fault that a bad status means.

    Args:
        clean: removes the key from a text.
        wait: seconds that the server asks to wait.
    """
    try:
        error = json.loads(clean(page))
    except (ValueError, RecursionError):
        error = clean(page)
    return _fault(status, error, clean, wait)


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


def _fault(code: int, error: Any, clean: Clean, wait: float | None = None) -> Fault:
    status = _meant(code, error if isinstance(error, str) else json.dumps(error))
    if status == 429:
        cause = Cause.RATE_LIMITED
    elif status == 408:
        cause = Cause.TIMEOUT
    else:
        cause = Cause.DOWN if status >= 500 else Cause.REFUSED
    parts = _parts(error)
    param = next((part["param"] for part in parts if isinstance(part.get("param"), str)), "")
    words = param or (error if isinstance(error, str) else json.dumps(error))
    message = clean(_message(error))
    return Fault(cause, f"status {code}: {message}", wait=wait, status=status, words=words)


def _meant(status: int, words: str) -> int:
    """402 or 404 if the text of an error means that; otherwise the status."""
    if status in (400, 403, 422, 429) and SPENT.search(words):
        return 402
    return 404 if status in (400, 422) and NO_MODEL.search(words) else status


def _parts(error: Any) -> list[dict[str, Any]]:
    """The objects of an error, the innermost first."""
    parts: list[dict[str, Any]] = []
    for _ in range(4):
        if isinstance(error, list) and error:
            error = error[0]
        if not isinstance(error, dict):
            break
        parts.insert(0, error)
        error = next((error[name] for name in INNER if error.get(name)), None)
    return parts


def _message(error: Any) -> str:
    """The text of an error."""
    for part in _parts(error):
        for name in reversed(ERRORS):
            if isinstance(part.get(name), str) and part[name].strip():
                return str(part[name])
    return error if isinstance(error, str) else json.dumps(error)


def _status(error: Any) -> int:
    """The status that an error names by a number or a name, or that its text names."""
    parts = _parts(error)
    for part in parts:
        for name in ("code", "status", "status_code", "statusCode", "type", "__type"):
            value = part.get(name)
            text = str(value).strip() if isinstance(value, int | float | str) else ""
            if re.fullmatch(r"[45]\d\d(\d\d|\.0)?", text):
                return int(text[:3])
            if found := _named(text):
                return found
    words = _message(error)
    numbered = NUMBERED.search(words[:2000])
    return int(numbered[1]) if numbered else _named(words) or UNKNOWN


def _named(text: str) -> int:
    """The status whose name is in a text; 0 if there is none."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text[:2000])
    name = re.sub(r"[^A-Z0-9]+", "_", split.upper())
    return next((status for known, status in STATUSES.items() if known in name), 0)
