"""The client: it finds a form of request that the server accepts, and says why none is."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from rods.endpoint.answer import ChatAnswer, read_chat
from rods.endpoint.completion import IDS_PATH, IdsAnswer, IdsRequest, read_ids
from rods.endpoint.config import PATH, EndpointConfig
from rods.endpoint.fault import Cause, Fault, UnusableError
from rods.endpoint.ledger import Ledger, Usage
from rods.endpoint.request import SCHEMA, ChatRequest, Post, RequestForm
from rods.errors import declare_secret, log_notice, shown
from rods.extras import MODEL, require

if TYPE_CHECKING:
    from rods.endpoint.sending import Sender

R = TypeVar("R")
A = TypeVar("A")

GIVEN_UP_AFTER = 5  # first questions without an answer in any form of request
MOST_SHOWN = 400  # characters of an error that names the URL and the server's words
PROBE = 16  # tokens of an answer that nobody reads
ANSWERED = frozenset({Cause.REPEATS, Cause.TOO_LONG, Cause.REFUSED})
"""Causes without a bad status: the server has accepted the form of the request."""
TOOLS = re.compile(r"\btools?\b|\btool[_-]|function.?call", re.IGNORECASE)
"""The text of a refusal that is about the tools."""


class ChatClient:
    """Asks an OpenAI-compatible server, from one event loop.

    Requests that are under way end when their tasks are cancelled.

    Args:
        ledger: counts the requests; a new one if None.
        notice: called with one line that a person should see at once.

    Raises:
        UserError: the extra `rods[llm]` is not installed, or the key cannot be sent.
    """

    def __init__(
        self,
        config: EndpointConfig,
        ledger: Ledger | None = None,
        notice: Callable[[str], None] = log_notice,
    ) -> None:
        require(*MODEL)
        from rods.endpoint.sending import Sender

        declare_secret(config.key_env)
        self.config, self.ledger = config, ledger or Ledger()
        self._sender: Sender = Sender(config, self.ledger, notice)
        self._form = RequestForm()
        self._accepted: set[str] = set()  # parts of requests that the server has answered
        self._answered, self._unanswered = False, 0

    async def ask(self, request: ChatRequest, spent: Usage | None = None) -> ChatAnswer:
        """The answer, asked for in the richest form that the endpoint has not refused.

        Args:
            spent: the usage is added to it, also if there is no answer.

        Raises:
            Fault: there is no answer, after all tries.
            UserError: no question can be answered: there is no server, the key, the model's name or
                the URL is wrong, or the server ignores tools.
        """
        return await self._guarded(self._chat, request, spent or Usage())

    async def complete(self, request: IdsRequest, spent: Usage | None = None) -> IdsAnswer:
        """The continuation of token ids, from a server that takes and returns them.

        Args:
            spent: the usage is added to it, also if there is no answer.

        Raises:
            Fault: there is no answer, after all tries.
            UserError: no question can be answered, for example since the server returns no ids.
        """
        return await self._guarded(self._ids, request, spent or Usage())

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sender.connection.close()

    async def _guarded(
        self, answered: Callable[[R, Usage], Awaitable[A]], request: R, spent: Usage
    ) -> A:
        """The answer to a question. The first one goes alone."""
        first, unusable = self._sender.first, ""
        await first.enter()
        try:
            answer = await answered(request, spent)
            first.open()
            return answer
        except Fault as fault:
            unusable = self._unusable(fault)
            if unusable:
                raise UnusableError(unusable, fault) from None
            if self._answered or fault.cause is not Cause.REFUSED:
                first.open()
            raise
        finally:
            first.leave(unusable)

    async def _chat(self, request: ChatRequest, spent: Usage) -> ChatAnswer:
        before = spent.seconds
        answer = await self._in_some_form(request, spent)
        if request.tools and "tools" not in self._accepted:
            await self._check_tools(request, answer, spent)
        return answer._replace(seconds=spent.seconds - before)

    async def _ids(self, request: IdsRequest, spent: Usage) -> IdsAnswer:
        before = spent.seconds
        post = Post(request.role, IDS_PATH, request.body(self.config))
        answer = await self._sender.send(post, spent, read_ids)
        self._answered = True
        return answer._replace(seconds=spent.seconds - before)

    def _unusable(self, fault: Fault) -> str:
        """Why no question can be answered, after a first one was not; "" if that is not known."""
        cause = fault.detail.rstrip(".")
        if fault.cause is Cause.NO_TOOLS:
            mend = (
                "start the server with a template and a parser for tools (vLLM:"
                " --enable-auto-tool-choice --tool-call-parser NAME; llama.cpp: --jinja)"
            )
        elif fault.cause is Cause.NO_IDS:
            mend = "serve the model with vLLM or llama.cpp, or ask by chat"
        elif self._answered:
            return ""
        elif fault.unreachable:
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
        elif fault.cause in (Cause.REFUSED, Cause.NOT_CHAT):
            self._unanswered += 1
            if self._unanswered < GIVEN_UP_AFTER:
                return ""
            cause = f"{fault.cause}: {cause}"
            mend = f"so ended the first {self._unanswered} questions"
        else:
            return ""
        return shown(f"{self.config.url}: {cause}; {mend}", MOST_SHOWN)

    async def _in_some_form(self, request: ChatRequest, spent: Usage) -> ChatAnswer:
        """The answer, in a plainer form if the endpoint refuses or ignores this one."""
        known = form = self._form
        done: set[str] = set()
        while True:
            try:
                answer = await self._tried(request, form, spent, again=form == known)
            except Fault as fault:
                if fault.status == 0 and fault.cause in ANSWERED:
                    self._accept(form, request)
                if request.tools and "tools" not in self._accepted and self._about_tools(fault):
                    fault.cause = Cause.NO_TOOLS
                    raise
                if fault.about_form and self._answered and known != self._form:
                    known = form = self._form  # another question has found it
                    continue
                step = form.plainer(fault.words, request, done | self._accepted)
                if step is None or not fault.about_form:
                    raise
            else:
                structure = request.structure if "schema" in form.parts(request) else None
                if structure is None or structure.heeded(answer):
                    self._accept(form, request)
                    return answer
                step = form._replace(schema=False), SCHEMA
                self._accept(step[0], request)
            form, given_up = step
            done.add(given_up.part)
            self.ledger.count(request.role, given_up.counted_as)

    def _accept(self, form: RequestForm, request: ChatRequest) -> None:
        """Use this form from now on, and none in which one of its parts is left out."""
        self._form, self._answered = form, True
        self._accepted |= form.parts(request) | {"max_tokens"}

    async def _tried(
        self, request: ChatRequest, form: RequestForm, spent: Usage, *, again: bool
    ) -> ChatAnswer:
        """Send the same request until it is answered or its last try fails.

        Args:
            again: also repeat it if a plainer form may help.
        """
        post = Post(request.role, PATH, form.body(self.config, request), again)
        return await self._sender.send(post, spent, read_chat)

    async def _check_tools(self, request: ChatRequest, answer: ChatAnswer, spent: Usage) -> None:
        """Check that the server shows the tools to the model.

        An answer without calls is no evidence, so its prompt is sent again without the tools, and
        must be shorter then.

        Raises:
            Fault: the server ignores the tools.
        """
        if not answer.calls and answer.tokens_in:
            bare = request._replace(tools=(), structure=None, max_tokens=PROBE)
            try:
                without = await self._in_some_form(bare, spent)
            except Fault:
                return  # not known; the next question shows it
            if without.tokens_in >= answer.tokens_in:
                detail = (
                    f"the prompt has {answer.tokens_in} tokens, with the tools and without them"
                )
                raise Fault(Cause.NO_TOOLS, detail)
        self._accepted.add("tools")

    def _about_tools(self, fault: Fault) -> bool:
        text = f"{fault.words} {fault.detail}".replace(self.config.model, "")
        about_tools = TOOLS.search(text) is not None and not fault.over_context
        return fault.about_form and about_tools
