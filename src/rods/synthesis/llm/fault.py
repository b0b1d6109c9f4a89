"""Why there is no answer."""

from __future__ import annotations

from enum import StrEnum

DETAIL = 200  # characters


class Cause(StrEnum):
    """What became of a question that was not answered."""

    DOWN = "down"  # no connection, a connection lost in mid-answer, or status 5xx
    TIMEOUT = "timeout"  # not complete within the time of one request, or status 408
    RATE_LIMITED = "rate limited"  # status 429
    REFUSED = "refused"  # any other status below 500, or the model declines
    CUT_OFF = "cut off"  # the model reached its token limit
    REPEATS = "repeats"  # cut, and its end says the same over and over
    TOO_LONG = "too long"  # more bytes than a response may have
    EMPTY = "empty"  # no words at all, or only thinking
    NOT_CHAT = "not a chat answer"  # a web page, bytes, or JSON of another form
    UNREADABLE = "unreadable"  # words with neither JSON nor tags in them
    INVALID = "invalid"  # JSON or tags, but not of the form that was asked for
    UNRECORDED = "unrecorded"  # replay, and the journal has no such answer


AGAIN = frozenset({Cause.DOWN, Cause.TIMEOUT, Cause.RATE_LIMITED})
"""Causes that may have gone when the same request is sent once more."""


class ModelError(Exception):
    """No answer, and why.

    Args:
        role: whose question it was.
        detail: what is known besides; cut at 200 characters. It never holds the key.
    """

    def __init__(self, cause: Cause, role: str, detail: str = "") -> None:
        self.cause, self.role, self.detail = cause, role, shortened(detail)
        super().__init__(f"{role}: {cause}" + (f": {self.detail}" if self.detail else ""))

    def __reduce__(self) -> tuple[type[ModelError], tuple[Cause, str, str]]:
        return ModelError, (self.cause, self.role, self.detail)


class Fault(Exception):
    """A cause inside this package, before it is known whose question it was.

    Args:
        text: what was received nevertheless.
        tokens: read and written for it nevertheless.
        wait: seconds that the server asks to wait; None if it does not say.
        unstructured: the server does not know the field `response_format`.
    """

    def __init__(
        self,
        cause: Cause,
        detail: str = "",
        *,
        text: str | None = None,
        tokens: tuple[int, int] = (0, 0),
        wait: float | None = None,
        unstructured: bool = False,
    ) -> None:
        super().__init__(cause)
        self.cause, self.detail = cause, shortened(detail)
        self.text, self.tokens = text, tokens
        self.wait, self.unstructured = wait, unstructured


def shortened(text: str, size: int = DETAIL) -> str:
    """One line of at most `size` characters."""
    line = " ".join(text[: 4 * size].split())
    return line if len(line) <= size else line[: size - 1] + "…"
