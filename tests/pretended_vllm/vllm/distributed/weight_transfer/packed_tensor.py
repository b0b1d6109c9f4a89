"""The transfer of weights since vLLM 0.28."""

from typing import Any

import vllm


def packed_nccl_broadcast_producer(
    iterator: Any, group: Any, src: int, post_iter_func: Any
) -> None:
    vllm.receive((item[0], post_iter_func(item)) for item in iterator)
