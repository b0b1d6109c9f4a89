"""The transfer of weights since vLLM 0.28."""

from types import SimpleNamespace
from typing import Any


def trainer_init(init_info: dict[str, Any]) -> SimpleNamespace:
    assert init_info["packed"]
    return SimpleNamespace(group=SimpleNamespace())
