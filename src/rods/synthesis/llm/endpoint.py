"""Questions to an endpoint: each gets an answer of the given form, or a cause of failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from pydantic import BaseModel

from rods.endpoint.client import ChatClient
from rods.endpoint.config import EndpointConfig
from rods.endpoint.fault import Cause, Fault, UnusableError
from rods.endpoint.ledger import Ledger, Progress, Usage
from rods.endpoint.loop_thread import LoopThread
from rods.errors import log_notice
from rods.synthesis.failures import ModelError
from rods.synthesis.llm.forms import read
from rods.synthesis.llm.journal import FAILED, PROMPT, Journal, JournalEntry, digest_of
from rods.synthesis.llm.prompts import Prompt, copied
from rods.synthesis.llm.questions import request_of, words_of

__all__ = ["Cause", "Endpoint", "EndpointConfig", "ModelError", "Progress", "Prompt"]

M = TypeVar("M", bound=BaseModel)


class Endpoint:
    """A chat endpoint shared by threads.

    Args:
        journal: records every question, or answers instead of the endpoint if it replays.
        notice: called with one line that a person should see at once.

    Raises:
        UserError: the extra `rods[llm]` is not installed, or the key cannot be sent.
    """

    def __init__(
        self,
        config: EndpointConfig,
        journal: Journal | None = None,
        notice: Callable[[str], None] = log_notice,
    ) -> None:
        self.config, self.journal = config, journal
        self._ledger, self._loop = Ledger(), LoopThread()
        replay = journal is not None and journal.replay
        self._client = None if replay else ChatClient(config, self._ledger, notice)

    @property
    def counts(self) -> Counter[str]:
        """Outcomes of the questions, in total and by role; see `Ledger`."""
        return self._ledger.counts

    @property
    def usage(self) -> dict[str, Usage]:
        """Tokens, cost and time by role."""
        return self._ledger.usage

    @property
    def progress(self) -> Progress:
        """Requests under way, and questions answered and failed, so far."""
        return self._ledger.progress

    @property
    def trouble(self) -> str:
        """The latest failure, if more questions failed than were answered; else ""."""
        progress = self.progress
        return self._ledger.failure if progress.failed > progress.answered else ""

    def ask(self, prompt: Prompt, answer: type[M], key: str = "") -> M:
        """The answer to a prompt, from any thread.

        Args:
            key: distinguishes equal prompts from different places, so that a replay gives each
                place its own answer in any order of the threads.

        Raises:
            ModelError: there is no answer of this form.
            UserError: the journal cannot be written, or no question can be answered: there is no
                server, or the key, the model's name or the URL is wrong.
            KeyboardInterrupt: the endpoint was stopped.
        """
        if self._loop.stopped:
            raise KeyboardInterrupt
        entry = self._new_entry(prompt, key)
        spent, text = Usage(asked=1), None
        failed: Fault | None = None
        unusable: UnusableError | None = None
        known = self._known(entry)
        recalled = self._client is None or known is not None
        try:
            if self._client is None or known is not None:
                text = self._recalled(entry, known, spent)
            else:
                request = request_of(self.config, prompt, answer)
                text = words_of(self._loop.run(partial(self._client.ask, request, spent)))
            made = read(text, answer)
            if copied(prompt, made):
                raise Fault(Cause.EXAMPLE, text)
            spent.answered = 1
        except Fault as fault:
            failed = fault
        except UnusableError as error:
            failed, unusable = error.fault, error
        if not recalled:
            prices = self.config.price_in, self.config.price_out
            spent.cost = (spent.tokens_in * prices[0] + spent.tokens_out * prices[1]) / 1e6
        self._count(prompt.role, spent, failed)
        if not recalled and unusable is None:  # a person will mend what makes it unusable
            self._record(entry, spent, text, failed)
        if unusable is not None:
            raise unusable
        if failed is not None:
            raise ModelError(failed.cause, prompt.role, failed.detail)
        return made

    def stop(self) -> None:
        """End all questions within about a second, from any thread, and answer no others.

        They end with KeyboardInterrupt, and are neither counted nor in the journal.
        """
        self._loop.stop()

    def close(self) -> None:
        """Close the connections. The journal remains open."""
        if self._client is not None:
            self._loop.finish(self._client.aclose())

    def _new_entry(self, prompt: Prompt, key: str) -> JournalEntry:
        digest = digest_of(self.config, prompt)
        n = self.journal.next_number(digest, key) if self.journal else 0
        entry = JournalEntry(role=prompt.role, version=prompt.version, key=key, digest=digest, n=n)
        if not self.config.journal_prompts:
            return entry
        system = "\n".join([prompt.system, *(prompt.example or ())])
        return entry.model_copy(update={"system": system[:PROMPT], "user": prompt.user[:PROMPT]})

    def _known(self, asked: JournalEntry) -> JournalEntry | None:
        if self.journal is None or self._client is None:
            return None
        return self.journal.remembered(asked.digest, asked.key, asked.n)

    def _recalled(self, asked: JournalEntry, entry: JournalEntry | None, spent: Usage) -> str:
        """The answer in the journal."""
        assert self.journal is not None
        entry = entry or self.journal.recorded(asked.digest, asked.key, asked.n)
        spent.tries, spent.seconds, spent.cost = entry.tries, entry.seconds, entry.cost
        spent.tokens_in, spent.tokens_out = entry.tokens_in, entry.tokens_out
        if entry.cause is not None:
            raise Fault(entry.cause, entry.detail)
        return entry.answer or ""

    def _count(self, role: str, spent: Usage, failed: Fault | None) -> None:
        self._ledger.add(role, spent)
        if failed is not None:
            self._ledger.failure = f"{failed.cause}: {failed.detail}"
        self._ledger.count(role, "asked", failed.cause if failed else "answered")

    def _record(
        self, entry: JournalEntry, spent: Usage, text: str | None, failed: Fault | None
    ) -> None:
        if self.journal is None:
            return
        if text is None and failed is not None and failed.text:
            text = failed.text[:FAILED]
        details = {
            "answer": text,
            "cause": failed.cause if failed else None,
            "detail": failed.detail if failed else "",
            "tokens_in": spent.tokens_in,
            "tokens_out": spent.tokens_out,
            "cost": round(spent.cost, 9),
            "seconds": round(spent.seconds, 4),
            "tries": spent.tries,
        }
        self.journal.record(entry.model_copy(update=details))
