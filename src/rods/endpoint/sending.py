"""Requests to one endpoint: limited in number, repeated, and counted."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from rods.endpoint.config import EndpointConfig
from rods.endpoint.connection import Connection
from rods.endpoint.fault import AGAIN, Cause, Fault
from rods.endpoint.ledger import Ledger, Usage
from rods.endpoint.places import Places
from rods.endpoint.refusal import Clean
from rods.endpoint.request import Post
from rods.errors import UserError

PAUSE = 0.5  # seconds before the second try; doubled before each further one
LONGEST_PAUSE = 30.0  # seconds, also if the server asks for more
LOADING = 600.0  # seconds that a server may need to load its model
WATCHED = 20  # latest requests; if most of them time out, there is a notice


class Counted(Protocol):
    """An answer with its numbers of tokens."""

    @property
    def tokens_in(self) -> int: ...
    @property
    def tokens_out(self) -> int: ...


T = TypeVar("T", bound=Counted)


def pause(attempt: int, wait: float | None) -> float:
    """Seconds before the next try: as the server asks, or random and longer each time.

    Args:
        attempt: tries before this one.
        wait: seconds that the server asks for.
    """
    own = PAUSE * 2.0 ** min(attempt, 10) * random.uniform(0.5, 1.0)
    return min(own if wait is None else wait, LONGEST_PAUSE)


class Sender:
    """Sends requests, from one event loop.

    Args:
        notice: called with one line that a person should see at once.

    Attributes:
        first: makes the first question go alone.

    Raises:
        UserError: the key cannot be sent.
    """

    def __init__(
        self, config: EndpointConfig, ledger: Ledger, notice: Callable[[str], None]
    ) -> None:
        self.config, self.ledger, self.notice = config, ledger, notice
        self.connection, self.first = Connection(config), FirstQuestion()
        self._places = Places(config.parallel)
        self._late: deque[bool] = deque(maxlen=WATCHED)
        self._reported = False
        self._loading_since: float | None = None

    async def send(self, post: Post, spent: Usage, read: Callable[[bytes, Clean], T]) -> T:
        """What `read` returns for the response; the request is repeated if that may help.

        Args:
            spent: the usage of each try is added to it.

        Raises:
            Fault: of the last try.
        """
        waits = 0  # for a model that is being loaded; they are no tries

        def again(error: BaseException) -> bool:
            return (
                isinstance(error, Fault)
                and error.cause in AGAIN
                and (post.again or not error.about_form)
            )

        def last(state: RetryCallState) -> bool:
            nonlocal waits
            waits += self._loads(_fault(state))
            return state.attempt_number - waits >= self.config.retries

        def seconds(state: RetryCallState) -> float:
            fault = _fault(state)
            if fault.loading:
                return pause(state.attempt_number - 1, None)
            return pause(state.attempt_number - waits - 1, fault.wait)

        def count(state: RetryCallState) -> None:
            self.ledger.count(post.role, f"again after {_fault(state).cause}")

        retrying = AsyncRetrying(
            retry=retry_if_exception(again),
            stop=last,
            wait=seconds,
            before_sleep=count,
            reraise=True,
        )
        answer: T = await retrying(self._once, post, spent, read)
        return answer

    def _loads(self, fault: Fault) -> bool:
        """Whether to wait for a server that is loading its model."""
        if not fault.loading:
            return False
        now = time.monotonic()
        since, self._loading_since = self._loading_since, self._loading_since or now
        if since is None and LOADING:
            self.notice(f"{self.config.url} loads its model; waiting up to {LOADING:g} s")
        return now - self._loading_since < LOADING

    async def _once(self, post: Post, spent: Usage, read: Callable[[bytes, Clean], T]) -> T:
        taken = await self._places.take()
        answered = late = False
        try:
            with self.ledger.request(post.role):
                spent.tries += 1
                start, tokens = time.monotonic(), (0, 0)
                try:
                    answer = await self.connection.send(post.path, post.body, read)
                    tokens, self._loading_since = (answer.tokens_in, answer.tokens_out), None
                    answered = True
                except Fault as fault:
                    tokens, late = fault.tokens, fault.cause is Cause.TIMEOUT
                    if fault.cause in (Cause.TIMEOUT, Cause.RATE_LIMITED):
                        self.first.open()  # this may take long, and is not about the form
                    raise
                finally:
                    spent.seconds += time.monotonic() - start
                    spent.tokens_in += tokens[0]
                    spent.tokens_out += tokens[1]
                    self._watch(late)
        finally:
            await self._places.give_back(taken, answered=answered, late=late)
        return answer

    def _watch(self, late: bool) -> None:
        """Report once that most requests time out."""
        self._late.append(late)
        if sum(self._late) > WATCHED // 2 and not self._reported:
            self._reported = True
            self.notice(
                f"most requests time out after {self.config.timeout:g} s; set timeout higher or"
                " parallel lower in the --endpoint file"
            )


def _fault(state: RetryCallState) -> Fault:
    """The fault of the latest try."""
    fault = state.outcome.exception() if state.outcome else None
    assert isinstance(fault, Fault)
    return fault


class FirstQuestion:
    """Lets one question go first, while the others wait; for one event loop."""

    def __init__(self) -> None:
        self._open = False
        self._leader: asyncio.Future[str] | None = None  # its result: why nothing can be answered

    async def enter(self) -> None:
        """Wait until this question may be asked; every call is followed by `leave`.

        Raises:
            UserError: the first question has shown that the endpoint is unusable.
        """
        while self._leader is not None and not self._open:
            leader = self._leader
            await asyncio.wait([leader])
            if unusable := leader.result():
                raise UserError(unusable)
        if not self._open:
            self._leader = asyncio.get_running_loop().create_future()

    def leave(self, unusable: str = "") -> None:
        """Let the next question start, or make all that wait fail."""
        leader, self._leader = self._leader, None
        if leader is not None and not leader.done():
            leader.set_result(unusable)

    def open(self) -> None:
        """Let all questions start from now on."""
        self._open = True
        if self._leader is not None and not self._leader.done():
            self._leader.set_result("")
