"""The form of a request, and plainer forms for servers that support less."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from pydantic import BaseModel

from rods.synthesis.llm.config import EndpointConfig
from rods.synthesis.llm.forms import response_format
from rods.synthesis.llm.prompts import Prompt
from rods.synthesis.llm.tagged import form

TAGS = """

Answer in exactly this form and write nothing else. Inside a block write &lt; for the sign <.

"""


class Plainer(NamedTuple):
    """One change to a plainer form.

    Attributes:
        part: the part of a `RequestForm` that is left out.
        names: of the request's fields in it, which a refusal may name.
        counted_as: its name in the ledger.
    """

    part: str
    names: tuple[str, ...]
    counted_as: str


SCHEMA = Plainer("schema", ("response_format", "json_schema"), "asked in tags instead")
STEPS = (
    SCHEMA,
    Plainer("system", ("system", "messages"), "asked without a system role"),
    Plainer("max_tokens", ("max_tokens",), "asked with max_completion_tokens"),
    Plainer("sampling", ("temperature", "top_p"), "asked without temperature and top_p"),
)


class RequestForm(NamedTuple):
    """Which parts a request has; the richest form has all of them.

    Attributes:
        schema: the answer's form is asked for by a schema; by tags otherwise.
        system: the prompt's first part is a system message.
        max_tokens: the limit has this name; `max_completion_tokens` otherwise.
        sampling: temperature and top_p are sent.
    """

    schema: bool = True
    system: bool = True
    max_tokens: bool = True
    sampling: bool = True

    def plainer(self, refusal: str, done: Collection[str]) -> tuple[RequestForm, Plainer] | None:
        """The next form to be tried, and the step to it; None if no step is left.

        Args:
            refusal: the server's text; a part that it names is left out first.
            done: parts that were left out before, or must be kept.
        """
        kept = self
        if not self.max_tokens and _names(refusal, ("max_completion_tokens",)):
            kept = self._replace(max_tokens=True)  # it does not know the new name
        left = [step for step in STEPS if getattr(kept, step.part) and step.part not in done]
        if not left:
            return None
        step = next((step for step in left if _names(refusal, step.names)), left[0])
        return kept._replace(**{step.part: False}), step

    def body(
        self, config: EndpointConfig, prompt: Prompt, answer: type[BaseModel]
    ) -> dict[str, Any]:
        """The request's JSON."""
        system, user = prompt.system, prompt.user
        if not self.schema:
            system += TAGS + form(answer)
        turns = [("system", system), ("user", user)]
        if not self.system:
            turns = [("user", f"{system}\n\n{user}")]
        body: dict[str, Any] = {
            "model": config.model,
            "messages": [{"role": role, "content": whole(text)} for role, text in turns],
            "stream": False,  # some servers stream by default
            "max_tokens" if self.max_tokens else "max_completion_tokens": config.max_tokens,
        }
        if self.sampling:
            body |= {"temperature": config.temperature, "top_p": config.top_p}
        if self.schema:
            body["response_format"] = response_format(answer)
        return body


def _names(refusal: str, names: tuple[str, ...]) -> bool:
    return any(re.search(rf"\b{name}\b", refusal, re.IGNORECASE) for name in names)


def whole(text: str) -> str:
    """The text without incomplete characters, which cannot be sent or written."""
    return text.encode("utf-8", "replace").decode()
