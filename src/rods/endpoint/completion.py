"""Token ids in, token ids and log-probabilities out, as vLLM and llama.cpp give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rods.endpoint.answer import read_choice
from rods.endpoint.config import EndpointConfig
from rods.endpoint.fault import Cause, Fault
from rods.endpoint.refusal import Clean
from rods.endpoint.request import sampling

IDS_PATH = "/completions"  # is added to the URL


class IdsRequest(NamedTuple):
    """Token ids to be continued.

    Attributes:
        ids: the whole prompt.
        stop_ids: each of them ends the answer, and is part of it. llama.cpp ignores them, and ends
            with its model's own.
        max_tokens, temperature, top_p: those of the endpoint's settings if None.
        seed: random seed of the sampling.
        role: who asks; the client counts by it.
    """

    ids: Sequence[int]
    stop_ids: Sequence[int] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    role: str = "agent"

    def body(self, config: EndpointConfig) -> dict[str, Any]:
        """The request's JSON."""
        body: dict[str, Any] = {
            "model": config.model,
            "prompt": list(self.ids),
            "stream": False,
            "max_tokens": config.max_tokens if self.max_tokens is None else self.max_tokens,
            **sampling(config, self.temperature, self.top_p),
            "logprobs": 1,
            "return_token_ids": True,
        }
        if self.stop_ids:
            body["stop_token_ids"] = list(self.stop_ids)
        if self.seed is not None:
            body["seed"] = self.seed
        return body


class IdsAnswer(NamedTuple):
    """The ids that the model generated.

    Attributes:
        ids: a stop id included.
        logprobs: log-probability of each id in the model's own distribution, before temperature and
            top_p; in the one that was sampled from if vLLM runs with
            `--logprobs-mode processed_logprobs`.
        reason: why it ended, in the server's words and in small letters.
        tokens_in, tokens_out: of the request and its answer; 0 if the server does not say.
        seconds: in which requests for it were under way, failed tries included.
    """

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    reason: str = "stop"
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0


def read_ids(content: bytes, clean: Clean) -> IdsAnswer:
    """The ids in a completion.

    Args:
        clean: removes the key from a text.

    Raises:
        Fault: it is no completion, contains an error, or has no ids or log-probabilities.
    """

    def read(choice: dict[str, Any], reason: str, tokens: tuple[int, int]) -> IdsAnswer:
        ids, found = choice.get("token_ids"), choice.get("logprobs") or {}
        if ids is not None:  # vLLM
            logprobs = found.get("token_logprobs") or ()
        else:
            parts = found.get("content") or ()
            ids = [part["id"] for part in parts if "id" in part]
            logprobs = [part["logprob"] for part in parts]
        if not ids or len(ids) != len(logprobs) or tokens[1] not in (0, len(ids)):
            numbers = f"{len(ids)} ids and {len(logprobs)} log-probabilities"
            raise Fault(Cause.NO_IDS, f"the response has {numbers} of its tokens", tokens=tokens)
        return IdsAnswer(tuple(map(int, ids)), tuple(map(float, logprobs)), reason, *tokens)

    return read_choice(content, clean, read)
