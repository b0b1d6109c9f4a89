"""Asks the endpoint of synthesis for one completion."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

from rods.endpoint.config import EndpointConfig, read_endpoint
from rods.errors import UserError

QUESTION = ({"role": "user", "content": "Answer with the word yes."},)
SECONDS = 60.0  # most that the dry run waits
TOKENS = 256  # of the answer: some models think before it


class Asked(NamedTuple):
    """Whether the endpoint has answered, with its model and what it answered, or why it did not."""

    model: str
    answered: bool
    detail: str


def ask(path: str) -> Asked:
    """Ask the endpoint of a file one short question, once.

    Raises:
        UserError: the file is unusable, or the client is not installed.
    """
    from rods.endpoint.fault import Fault

    config = read_endpoint(Path(path), None, None)
    seconds = min(config.timeout, SECONDS)
    once = config.model_copy(update={"retries": 1, "timeout": seconds})
    try:
        return Asked(config.model, True, asyncio.run(_answer(once)))
    except TimeoutError:
        return Asked(config.model, False, f"no answer within {SECONDS:g} s")
    except (Fault, UserError) as error:
        return Asked(config.model, False, str(error))


async def _answer(config: EndpointConfig) -> str:
    from rods.endpoint.client import ChatClient
    from rods.endpoint.request import ChatRequest

    client = ChatClient(config)
    try:
        async with asyncio.timeout(SECONDS):  # a server may load its model
            answer = await client.ask(ChatRequest(QUESTION, max_tokens=TOKENS))
    finally:
        await client.aclose()
    return f"{answer.tokens_out} tokens in {answer.seconds:.1f} s"
