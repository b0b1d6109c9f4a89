"""What TRL imports of vLLM, for a trainer without a GPU. Nothing is generated here: a server does.

Attributes:
    received: weights by name, as the trainer last sent them.
"""

import os
from typing import Any

__version__ = os.environ["PRETENDED_VLLM"]
received: dict[str, Any] = {}


class LLM: ...


class RequestOutput: ...


class SamplingParams: ...


def receive(weights: Any) -> None:
    """Take the weights that a transfer by NCCL would send."""
    received.clear()
    received.update((name, weight.clone()) for name, weight in weights)
