"""Token ids in, token ids and log-probabilities out: vLLM's form of `/completions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rods.endpoint.answer import read_choice
from rods.endpoint.config import EndpointConfig
from rods.endpoint.fault import Cause, Fault
from rods.endpoint.refusal import Clean
from rods.endpoint.request import sampling

IDS_PATH = "/completions"  # is added to the URL
LACKING = "the response has no {}; vLLM from version 0.10.2 on returns them"


class IdsRequest(NamedTuple):
    """Token ids to be continued.

    Attributes:
        ids: the whole prompt.
        stop_ids: each of them ends the answer, and is part of it.
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
        logprobs: log-probability of each id. vLLM gives that of the distribution that was sampled
            from if it runs with `--logprobs-mode processed_logprobs`; by default that of the
            model's own, before temperature and top_p.
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
        ids, logprobs = choice.get("token_ids"), (choice.get("logprobs") or {})
        if not isinstance(ids, list):
            raise Fault(Cause.NO_IDS, LACKING.format("token_ids"), tokens=tokens)
        chosen = logprobs.get("token_logprobs")
        if not isinstance(chosen, list) or len(chosen) != len(ids):
            raise Fault(Cause.NO_IDS, LACKING.format("log-probability for each id"), tokens=tokens)
        return IdsAnswer(tuple(map(int, ids)), tuple(map(float, chosen)), reason, *tokens)

    return read_choice(content, clean, read)
