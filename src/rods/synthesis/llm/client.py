"""A client that limits requests, repeats them, and finds a form that the server accepts."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from rods.synthesis.llm.answer_parts import AnswerParts
from rods.synthesis.llm.config import EndpointConfig
from rods.synthesis.llm.connection import Connection, FirstQuestion
from rods.synthesis.llm.fault import AGAIN, Cause, Fault
from rods.synthesis.llm.ledger import Ledger, Usage
from rods.synthesis.llm.prompts import Prompt
from rods.synthesis.llm.request import SCHEMA, Plainer, RequestForm

PAUSE = 0.5  # seconds before the second try; doubled before each further one
LONGEST_PAUSE = 30.0  # seconds, also if the server asks for more
GIVEN_UP_AFTER = 5  # first questions without an answer in any form of request
WATCHED = 20  # latest requests; if most of them time out, there is a notice
ANSWERED = frozenset({Cause.CUT_OFF, Cause.REPEATS, Cause.TOO_LONG, Cause.REFUSED})
"""Causes without a bad status: the server has accepted the form of the request."""


def pause(attempt: int, wait: float | None) -> float:
    """Seconds before the next try: as the server asks, or random and longer each time.

    Args:
        attempt: tries before this one.
        wait: seconds that the server asks for.
    """
    own = PAUSE * 2.0 ** min(attempt, 10) * random.uniform(0.5, 1.0)
    return min(own if wait is None else wait, LONGEST_PAUSE)


class Client:
    """Gets answers from the server; shared by threads.

    Args:
        stopped: ends requests that are under way.
        notice: see `Endpoint`.

    Raises:
        UserError: the extra `rods[llm]` is not installed, or the key cannot be sent.
    """

    def __init__(
        self,
        config: EndpointConfig,
        ledger: Ledger,
        stopped: threading.Event,
        notice: Callable[[str], None],
    ) -> None:
        self.config, self.ledger, self.stopped, self.notice = config, ledger, stopped, notice
        self.connection = Connection(config, stopped)
        self.first = FirstQuestion()
        self._free = threading.BoundedSemaphore(config.parallel)
        self._form = RequestForm(schema=config.structured != "tags")
        self._answered, self._unanswered = False, 0
        self._late: deque[bool] = deque(maxlen=WATCHED)
        self._watching, self._reported = threading.Lock(), False

    def answer(self, prompt: Prompt, answer: type[BaseModel], spent: Usage) -> str:
        """The text of an answer, asked for in the richest form that the endpoint has not refused.

        Args:
            spent: the usage is added to it.

        Raises:
            Fault: there is no text. `unusable` is set if no question can be answered.
            UserError: the first question has shown that no question can be answered.
            KeyboardInterrupt: the endpoint was stopped.
        """
        self.first.enter()
        unusable = ""
        try:
            return self._in_some_form(prompt, answer, spent)
        except Fault as fault:
            unusable = fault.unusable = "" if self._answered else self._unusable(fault)
            if fault.cause is not Cause.REFUSED and not unusable:
                self.first.open()
            raise
        finally:
            self.first.leave(unusable)

    def _unusable(self, fault: Fault) -> str:
        """Why no question can be answered, after a first one was not; "" if that is not known."""
        self._unanswered += fault.cause in (Cause.REFUSED, Cause.NOT_CHAT)
        cause = fault.detail.rstrip(".")
        if fault.unreachable:
            mend = "start the server there, or write its address as the url"
            if "CERTIFICATE" in cause:
                mend = "name the file of its authority in $SSL_CERT_FILE"
            elif "SSL" in cause:
                mend = "write the url with http, if the server has no TLS"
        elif fault.status in (401, 403):
            mend = "set the variable, or name another one as key_env"
        elif fault.status == 402:
            mend = "pay for more, or name another endpoint"
        elif fault.status == 404:
            mend = "check the url and the model's name"
            if not urlsplit(self.config.url).path:
                mend += "; most servers want /v1 at the end of the url"
        elif self._unanswered >= GIVEN_UP_AFTER and fault.cause in (Cause.REFUSED, Cause.NOT_CHAT):
            cause, mend = (
                f"{fault.cause}: {cause}",
                f"so ended the first {self._unanswered} questions",
            )
        else:
            return ""
        return f"{self.config.url}: {cause}; {mend}"

    def _in_some_form(self, prompt: Prompt, answer: type[BaseModel], spent: Usage) -> str:
        """The text, in a plainer form if the endpoint refuses or ignores this one."""
        known = form = self._form
        done = set() if self.config.structured == "auto" else {SCHEMA.part}
        while True:
            may_change = form.schema and SCHEMA.part not in done
            in_tags = (form._replace(schema=False), SCHEMA)
            try:
                text = self._tried(prompt, answer, spent, form, again=form == known)
            except Fault as fault:
                if fault.status == 0 and fault.cause in ANSWERED:
                    self._accept(form)
                if fault.about_form and self._answered and known != self._form:
                    known = form = self._form  # another thread has found it
                    continue
                step = self._plainer(form, fault, done)
                step = in_tags if fault.elsewhere and may_change else step
                if step is None:
                    raise
            else:
                found = AnswerParts(text, answer)
                if not may_change or found.objects or found.fault or not found.words:
                    self._accept(form)
                    return text
                step = in_tags
                self._accept(in_tags[0])
                if found.blocks:
                    return text
            form, given_up = step
            done.add(given_up.part)
            self.ledger.count(prompt.role, given_up.counted_as)

    def _plainer(
        self, form: RequestForm, fault: Fault, done: set[str]
    ) -> tuple[RequestForm, Plainer] | None:
        """The next form after a refusal; None if some form was already answered."""
        may_help = fault.about_form and not self._answered
        return form.plainer(fault.words, done) if may_help else None

    def _accept(self, form: RequestForm) -> None:
        """Use this form from now on, and none that is plainer."""
        self._form, self._answered = form, True
        self.first.open()

    def _tried(
        self,
        prompt: Prompt,
        answer: type[BaseModel],
        spent: Usage,
        form: RequestForm,
        *,
        again: bool,
    ) -> str:
        """Send the same request until it is answered or its last try fails.

        Args:
            again: also repeat it if a plainer form may help.
        """
        body = form.body(self.config, prompt, answer)
        for attempt in range(self.config.retries - 1):
            try:
                return self._once(prompt.role, body, spent)
            except Fault as fault:
                if fault.cause not in AGAIN or (fault.about_form and not again):
                    raise
                self.ledger.count(prompt.role, f"again after {fault.cause}")
                seconds = pause(attempt, fault.wait)
            self._rest(seconds)
        return self._once(prompt.role, body, spent)

    def _rest(self, seconds: float) -> None:
        if self.stopped.wait(seconds):
            raise KeyboardInterrupt

    def _once(self, role: str, body: dict[str, Any], spent: Usage) -> str:
        with self._free, self.ledger.request(role):
            self._rest(0)
            spent.tries += 1
            start, tokens, late = time.monotonic(), [0, 0], False
            try:
                text, *tokens = self.connection.send(body)
            except Fault as fault:
                tokens, late = list(fault.tokens), fault.cause is Cause.TIMEOUT
                if fault.cause in (Cause.TIMEOUT, Cause.RATE_LIMITED):
                    self.first.open()  # this may take long, and is not about the form
                raise
            finally:
                spent.seconds += time.monotonic() - start
                spent.tokens_in += tokens[0]
                spent.tokens_out += tokens[1]
                self._watch(late)
        return text

    def _watch(self, late: bool) -> None:
        """Report once that most requests time out."""
        with self._watching:
            self._late.append(late)
            if sum(self._late) <= WATCHED // 2 or self._reported:
                return
            self._reported = True
        self.notice(
            f"most requests time out after {self.config.timeout:g} s; set timeout higher or"
            " parallel lower in the --endpoint file"
        )
