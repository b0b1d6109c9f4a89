"""The endpoint itself: requests within bounds, tried again, in the form that it understands."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from pydantic import BaseModel

from rods.synthesis.llm.answers import has_object, response_format, spoken
from rods.synthesis.llm.config import EndpointConfig
from rods.synthesis.llm.connection import Connection
from rods.synthesis.llm.fault import AGAIN, Fault
from rods.synthesis.llm.ledger import Ledger, Usage
from rods.synthesis.llm.prompts import Prompt
from rods.synthesis.llm.tagged import form, opening

PAUSE = 0.5  # seconds before the second try; doubled before each further one
LONGEST_PAUSE = 30.0  # seconds, also if the server asks for more

TAGS = """

Answer in exactly this form and write nothing else. Inside a block write &lt; for the sign <.

"""


def pause(attempt: int, wait: float | None) -> float:
    """Seconds before the next try: what the server asks for, or longer each time, with chance.

    Args:
        attempt: tries before this one.
        wait: seconds that the server asks for.
    """
    own = PAUSE * 2.0 ** min(attempt, 10) * random.uniform(0.5, 1.0)
    return min(own if wait is None else wait, LONGEST_PAUSE)


class Live:
    """Gets words from the endpoint; shared by threads.

    Raises:
        UserError: the extra `rods[llm]` is not installed, or the key cannot be sent.
    """

    def __init__(self, config: EndpointConfig, ledger: Ledger) -> None:
        self.config, self.ledger = config, ledger
        self.connection = Connection(config)
        self._free = threading.BoundedSemaphore(config.parallel)
        self._tags = config.structured == "tags"

    def said(self, prompt: Prompt, answer: type[BaseModel], spent: Usage) -> str:
        """The words. An endpoint that knows no schemas is asked in tags from now on.

        Args:
            spent: what it takes is added here.

        Raises:
            Fault: there are no words.
        """
        tags = self._tags
        try:
            text = self._tried(prompt, answer, spent, tags)
        except Fault as fault:
            if not (fault.unstructured and self._may_change(tags)):
                raise
        else:
            if not self._may_change(tags) or not spoken(text) or has_object(text):
                return text
            if opening(text, answer) >= 0:
                self._tags = True
                return text
        self._tags = True
        self.ledger.count(prompt.role, "asked in tags instead")
        return self._tried(prompt, answer, spent, tags=True)

    def _may_change(self, tags: bool) -> bool:
        return not tags and self.config.structured == "auto"

    def _tried(self, prompt: Prompt, answer: type[BaseModel], spent: Usage, tags: bool) -> str:
        """The same request until it is answered or has failed for good."""
        wanted = None if tags else response_format(answer)
        if tags:
            prompt = prompt._replace(system=prompt.system + TAGS + form(answer))
        for attempt in range(self.config.retries - 1):
            try:
                return self._once(prompt, wanted, spent)
            except Fault as fault:
                changes = fault.unstructured and self._may_change(tags)
                if changes or fault.cause not in AGAIN:
                    raise
                self.ledger.count(prompt.role, f"again after {fault.cause}")
                seconds = pause(attempt, fault.wait)
            time.sleep(seconds)
        return self._once(prompt, wanted, spent)

    def _once(self, prompt: Prompt, wanted: dict[str, Any] | None, spent: Usage) -> str:
        with self._free:
            self.ledger.count(prompt.role, "tried")
            spent.tries += 1
            start, tokens = time.monotonic(), [0, 0]
            try:
                text, *tokens = self.connection.send(prompt.system, prompt.user, wanted)
            except Fault as fault:
                tokens = list(fault.tokens)
                raise
            finally:
                spent.seconds += time.monotonic() - start
                spent.tokens_in += tokens[0]
                spent.tokens_out += tokens[1]
        return text
