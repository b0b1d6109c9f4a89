"""The transfer of weights before vLLM 0.28."""

from types import SimpleNamespace
from typing import Any

import vllm


class NCCLTrainerSendWeightsArgs(SimpleNamespace): ...


class NCCLWeightTransferEngine:
    @staticmethod
    def trainer_init(init_info: dict[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(group=SimpleNamespace())

    @staticmethod
    def trainer_send_weights(iterator: Any, trainer_args: NCCLTrainerSendWeightsArgs) -> None:
        vllm.receive(iterator)
