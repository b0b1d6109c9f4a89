"""Requests to a chat endpoint, and plainer forms of them for servers that support less."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rods.endpoint.config import EndpointConfig

if TYPE_CHECKING:
    from rods.endpoint.answer import ChatAnswer


class Structure(NamedTuple):
    """The form that the text of an answer must have.

    Attributes:
        schema: the field `response_format`; None if the form is only asked for in words.
        words: the form in words, which the system message gets if there is no schema or the server
            does not take it; "" if the form is only asked for by the schema.
        shown: what the system message gets if there is a schema.
        example: a request and its answer, as two turns before the question, if there is a schema.
        example_in_words: the same, if there is none.
        heeded: whether an answer to a request with a schema has the form; otherwise the question is
            asked again in words.
    """

    schema: dict[str, Any] | None
    words: str = ""
    shown: str = ""
    example: tuple[str, str] | None = None
    example_in_words: tuple[str, str] | None = None
    heeded: Callable[[ChatAnswer], bool] = lambda answer: True


class ChatRequest(NamedTuple):
    """One question to a chat endpoint.

    Attributes:
        messages: in OpenAI's form.
        tools: in OpenAI's form.
        structure: the form of the answer's text; None if it is free.
        max_tokens, temperature, top_p: those of the endpoint's settings if None.
        seed: random seed of the sampling.
        logprobs: ask for the log-probability of each token of the answer.
        role: who asks; the client counts by it.
    """

    messages: Sequence[dict[str, Any]]
    tools: Sequence[dict[str, Any]] = ()
    structure: Structure | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    logprobs: bool = False
    role: str = "agent"


class Post(NamedTuple):
    """One request.

    Attributes:
        role: who asks; it is counted by role.
        path: is added to the endpoint's URL.
        body: the JSON.
        again: whether it is also repeated if a plainer form of it may help.
    """

    role: str
    path: str
    body: dict[str, Any]
    again: bool = True


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
    Plainer("seed", ("seed",), "asked without a seed"),
)


class RequestForm(NamedTuple):
    """Which parts a request has; the richest form has all of them.

    Attributes:
        schema: the form of the answer is asked for by a schema; in words otherwise.
        system: the first message may be a system message.
        max_tokens: the limit has this name; `max_completion_tokens` otherwise.
        sampling: temperature and top_p are sent.
        seed: the random seed is sent.
    """

    schema: bool = True
    system: bool = True
    max_tokens: bool = True
    sampling: bool = True
    seed: bool = True

    def parts(self, request: ChatRequest) -> set[str]:
        """The parts that this request has in this form, and that a plainer form can leave out."""
        structure, first = request.structure, request.messages[0] if request.messages else {}
        absent = {
            "schema": not (structure and structure.schema and structure.words),
            "system": first.get("role") != "system",
            "seed": request.seed is None,
        }
        return {
            name for name, sent in self._asdict().items() if sent and not absent.get(name, False)
        }

    def plainer(
        self, refusal: str, request: ChatRequest, done: Collection[str]
    ) -> tuple[RequestForm, Plainer] | None:
        """The next form to be tried, and the step to it; None if no step is left.

        Args:
            refusal: the server's text; a part that it names is left out first.
            done: parts that were left out before, or that the server has accepted.
        """
        kept = self
        if not self.max_tokens and names(refusal, "max_completion_tokens"):
            kept = self._replace(max_tokens=True)  # it does not know the new name
        parts = kept.parts(request) - {*done}
        left = [step for step in STEPS if step.part in parts]
        if not left:
            return None
        step = next((step for step in left if names(refusal, *step.names)), left[0])
        return kept._replace(**{step.part: False}), step

    def body(self, config: EndpointConfig, request: ChatRequest) -> dict[str, Any]:
        """The request's JSON."""
        limit = config.max_tokens if request.max_tokens is None else request.max_tokens
        body: dict[str, Any] = {
            "model": config.model,
            "messages": whole(self._messages(request)),
            "stream": False,  # some servers stream by default
            "max_tokens" if self.max_tokens else "max_completion_tokens": limit,
        }
        if self.sampling:
            body |= sampling(config, request.temperature, request.top_p)
        if self.seed and request.seed is not None:
            body["seed"] = request.seed
        if request.tools:
            body["tools"] = whole(list(request.tools))
        if request.logprobs:
            body["logprobs"] = True
        if self.schema and request.structure and request.structure.schema:
            body["response_format"] = request.structure.schema
        return body

    def _messages(self, request: ChatRequest) -> list[dict[str, Any]]:
        messages, structure = list(request.messages), request.structure
        system = ""
        if messages and messages[0].get("role") == "system":
            system = str(messages.pop(0).get("content") or "")
        if structure:
            schema = self.schema and structure.schema
            system += structure.shown if schema else structure.words
            example = structure.example if schema else structure.example_in_words
            turns = zip(("user", "assistant"), example or (), strict=False)
            messages[:0] = [{"role": role, "content": text} for role, text in turns]
        if not system:
            return messages
        if self.system:
            return [{"role": "system", "content": system}, *messages]
        if messages and messages[0].get("role") == "user":
            system += f"\n\n{messages.pop(0).get('content') or ''}"
        return [{"role": "user", "content": system}, *messages]


def sampling(
    config: EndpointConfig, temperature: float | None, top_p: float | None
) -> dict[str, float]:
    """The fields of a request that say how tokens are sampled."""
    return {
        "temperature": config.temperature if temperature is None else temperature,
        "top_p": config.top_p if top_p is None else top_p,
    }


def names(refusal: str, *fields: str) -> bool:
    """Whether a server's text names one of these fields."""
    return any(re.search(rf"\b{field}\b", refusal, re.IGNORECASE) for field in fields)


def whole(data: Any) -> Any:
    """Plain data without incomplete characters, which cannot be sent or written."""
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode()
    if isinstance(data, dict):
        return {whole(name): whole(value) for name, value in data.items()}
    return [whole(item) for item in data] if isinstance(data, list | tuple) else data
