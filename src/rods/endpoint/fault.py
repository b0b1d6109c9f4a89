"""Causes of requests without an answer."""

from __future__ import annotations

import re
from enum import StrEnum

from rods.errors import UserError

DETAIL = 200  # characters
ABOUT_OTHERS = frozenset({401, 402, 403, 408, 429})
"""Statuses from 400 to 499 that are not about the form of a request."""

OVER_CONTEXT = re.compile(
    r"context[ _](?:length|size|window)|max_model_len|(?:prompt|input)\W+(?:is )?too long"
    r"|too many tokens|max_new_tokens\W+must be <=",
    re.IGNORECASE,
)
LOADING = re.compile(r"\bload(?:ing|ed)\b|\bwarm|\bstarting\b|\bnot ready\b", re.IGNORECASE)


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
    EXAMPLE = "copies the example"  # of the prompt, instead of an answer of its own
    NO_TOOLS = "no tools"  # the server ignores or refuses the tools of a request
    NO_IDS = "no token ids"  # the server does not take or return token ids
    UNRECORDED = "unrecorded"  # replay, and the journal has no such answer


AGAIN = frozenset({Cause.DOWN, Cause.TIMEOUT, Cause.RATE_LIMITED})
"""Causes after which the same request is sent again."""


class Fault(Exception):
    """A request has no answer. It contains neither the key nor the request.

    Args:
        detail: more about the cause; cut at 200 characters.
        text: what was received.
        tokens: read and written for it.
        wait: seconds that the server asks to wait; None if it names none.
        status: of the response, or the one named in its body; 0 if there is none.
        words: the text of a refusal, which may name fields of the request.
        unreachable: no connection could be made.
    """

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
        unreachable: bool = False,
    ) -> None:
        super().__init__(cause)
        self.cause, self.detail = cause, shortened(detail)
        self.text, self.tokens, self.wait = text, tokens, wait
        self.status, self.words, self.unreachable = status, words, unreachable

    def __str__(self) -> str:
        return f"{self.cause}: {self.detail}" if self.detail else str(self.cause)

    @property
    def about_form(self) -> bool:
        """Whether the same question may be answered if the request has a plainer form."""
        refused = 400 <= self.status < 500 and self.status not in ABOUT_OTHERS
        return refused or self.status in (500, 501)

    @property
    def over_context(self) -> bool:
        """Whether the server refuses the prompt since it is longer than the model's context."""
        text = f"{self.words} {self.detail}"
        return self.cause is Cause.REFUSED and OVER_CONTEXT.search(text) is not None

    @property
    def loading(self) -> bool:
        """Whether the server is not ready yet because it loads its model."""
        return self.status == 503 and LOADING.search(self.detail) is not None


class UnusableError(UserError):
    """No question can be answered by this endpoint until a person mends something.

    Args:
        fault: of the question that has shown it.
    """

    def __init__(self, message: str, fault: Fault) -> None:
        super().__init__(message)
        self.fault = fault


def shortened(text: str, size: int = DETAIL) -> str:
    """One line of at most `size` characters."""
    line = " ".join(text[: 4 * size].split())
    return line if len(line) <= size else line[: size - 1] + "…"
