"""Causes of questions without an answer."""

from __future__ import annotations

from enum import StrEnum

DETAIL = 200  # characters
ABOUT_OTHERS = frozenset({401, 402, 403, 408, 429})
"""Statuses from 400 to 499 that are not about the form of a request."""


class Cause(StrEnum):
    """Why a question was not answered."""

    DOWN = "down"  # no connection, a connection lost in mid-answer, or status 5xx
    TIMEOUT = "timeout"  # not complete within the time of one request, or status 408
    RATE_LIMITED = "rate limited"  # status 429
    REFUSED = "refused"  # any other status below 500, or the model declines
    CUT_OFF = "cut off"  # the model reached its token limit
    REPEATS = "repeats"  # cut off, and its end repeats the same text
    TOO_LONG = "too long"  # more bytes than a response may have
    EMPTY = "empty"  # no text, or only thinking
    NOT_CHAT = "not a chat answer"  # a web page, bytes, or JSON of another form
    UNREADABLE = "unreadable"  # text without JSON or tags, or with two answers
    INVALID = "invalid"  # JSON or tags, but not of the form that was asked for
    UNRECORDED = "unrecorded"  # replay, and the journal has no such answer


AGAIN = frozenset({Cause.DOWN, Cause.TIMEOUT, Cause.RATE_LIMITED})
"""Causes after which the same request is sent again."""


class ModelError(Exception):
    """There is no answer.

    Args:
        role: the role that asked.
        detail: more about the cause; cut at 200 characters. It never contains the key.
    """

    def __init__(self, cause: Cause, role: str, detail: str = "") -> None:
        self.cause, self.role, self.detail = cause, role, shortened(detail)
        super().__init__(f"{role}: {cause}" + (f": {self.detail}" if self.detail else ""))

    def __reduce__(self) -> tuple[type[ModelError], tuple[Cause, str, str]]:
        return ModelError, (self.cause, self.role, self.detail)


class Fault(Exception):
    """A cause inside this package, before the role is known.

    Args:
        text: what was received.
        tokens: read and written for it.
        wait: seconds that the server asks to wait; None if it names none.
        status: of the response, or the one named in its body; 0 if there is none.
        words: the text of a refusal, which may name fields of the request.
        elsewhere: the answer has no text, but another of its fields has.
        unreachable: no connection could be made.

    Attributes:
        unusable: why no question can be answered by this endpoint, or "".
    """

    unusable = ""

    def __init__(
        self,
        cause: Cause,
        detail: str = "",
        *,
        text: str | None = None,
        tokens: tuple[int, int] = (0, 0),
        wait: float | None = None,
        status: int = 0,
        words: str = "",
        elsewhere: bool = False,
        unreachable: bool = False,
    ) -> None:
        super().__init__(cause)
        self.cause, self.detail = cause, shortened(detail)
        self.text, self.tokens, self.wait = text, tokens, wait
        self.status, self.words = status, words
        self.elsewhere, self.unreachable = elsewhere, unreachable

    @property
    def about_form(self) -> bool:
        """Whether the same question may be answered if the request has a plainer form."""
        refused = 400 <= self.status < 500 and self.status not in ABOUT_OTHERS
        return refused or self.status in (500, 501)


def shortened(text: str, size: int = DETAIL) -> str:
    """One line of at most `size` characters."""
    line = " ".join(text[: 4 * size].split())
    return line if len(line) <= size else line[: size - 1] + "…"
