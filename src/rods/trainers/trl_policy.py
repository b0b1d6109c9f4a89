"""TRL's own generation as a policy: by `generate`, by continuous batching, or by vLLM.

In several processes the generations of one round are calls that all processes make together (a
server of vLLM is asked by the first process; sharded weights are gathered). So the requests of all
processes are put together, shared out evenly, and answered in one call; a process whose episodes
are over takes part until those of all processes are (`finish`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from accelerate.utils import gather_object

from rods.config import Config
from rods.errors import UserError
from rods.extras import require
from rods.policies.model import ModelSettings
from rods.rollout.gathering import Gathering, Request
from rods.rollout.policy import Generation, Sampling


class Made(NamedTuple):
    """What TRL generated for one prompt; no log-probabilities unless vLLM did."""

    ids: list[int]
    logprobs: list[float] | None


class TrlPolicy(Gathering):
    """Samples by the trainer that it is attached to. `seeded` sets the random seed of torch.

    Log-probabilities are 0.0 if TRL does not return them; it then computes those that it needs.

    Args:
        pad_id: of any token, for a prompt that fills up a round.
        autocast: data type of the matrix products; None: the weights' own.
    """

    def __init__(self, pad_id: int, autocast: torch.dtype | None = None) -> None:
        super().__init__()
        self._pad_id, self._autocast, self._version = pad_id, autocast, 0
        self._trainer: Any = None

    def attach(self, trainer: Any) -> None:
        """Sample by this trainer from now on."""
        self._trainer = trainer

    def seeded(self, seed: int, version: int = 0) -> TrlPolicy:
        """Itself, with a new random seed and with the version of the weights."""
        torch.manual_seed(seed)
        self._version = version
        return self

    def answer(self, requests: Sequence[Request]) -> list[Generation]:
        made = self._round([[*request.ids] for request in requests]) or []
        return [
            self._cut(one, request.sampling) for one, request in zip(made, requests, strict=True)
        ]

    def finish(self) -> None:
        """Take part in the rounds of the other processes until none has a request."""
        while self._processes > 1 and self._round([]) is not None:
            pass

    @property
    def _processes(self) -> int:
        return int(self._trainer.accelerator.num_processes)

    def _round(self, prompts: list[list[int]]) -> list[Made] | None:
        """One call of all processes; None if no process has a prompt."""
        if self._processes == 1:
            return self._generate(prompts)
        rank = self._trainer.accelerator.process_index
        counts, everything = gather_object([len(prompts)]), gather_object(prompts)
        if not everything:
            return None
        each = -(-len(everything) // self._processes)
        part = everything[rank * each : (rank + 1) * each]
        filled = part + [[self._pad_id]] * (each - len(part))
        made = gather_object(self._generate(filled)[: len(part)])
        first = sum(counts[:rank])
        return [Made(*one) for one in made[first : first + len(prompts)]]

    def _generate(self, prompts: list[list[int]]) -> list[Made]:
        model = self._trainer.model
        training = model.training
        model.eval()  # without dropout
        try:
            with self._cast():
                ids, logprobs = generate_single_turn(self._trainer, prompts)
        finally:
            model.train(training)
        if len(ids) != len(prompts):
            raise RuntimeError(f"TRL generated {len(ids)} answers to {len(prompts)} prompts")
        if logprobs is None:
            return [Made(one, None) for one in ids]
        return [Made(*one) for one in zip(ids, logprobs, strict=True)]

    def _cut(self, made: Made, sampling: Sampling) -> Generation:
        """The action: up to its first stop id, and at most the tokens that its episode has left."""
        ids = list(made.ids)
        stop = next((i for i, token in enumerate(ids) if token in sampling.stop_ids), len(ids))
        size = min(stop + 1, sampling.max_tokens, len(ids))
        logprobs = made.logprobs or [0.0] * len(ids)
        return Generation(ids[:size], list(logprobs[:size]), self._version)

    def _cast(self) -> AbstractContextManager[object]:
        device = self._trainer.accelerator.device.type
        return nullcontext() if self._autocast is None else torch.autocast(device, self._autocast)


def generate_single_turn(
    trainer: Any, prompts: list[list[int]]
) -> tuple[list[list[int]], list[list[float]] | None]:
    """Token ids that follow each prompt, and their log-probabilities if vLLM generated them.

    The only use of a private part of TRL in this file (TRL 1.16): it covers `generate`, continuous
    batching and vLLM in both modes, with the transfer of weights before the first call of a step.
    """
    ids, logprobs = trainer._generate_single_turn(prompts, None, {}, 1)
    return ids, logprobs


def generation_arguments(
    config: Config, settings: ModelSettings, stop_ids: Sequence[int]
) -> dict[str, Any]:
    """The arguments of `GRPOConfig` for the generation that the settings name."""
    vllm, most = settings.vllm, config.rollout.action_tokens
    if settings.generation == "transformers":
        return {}
    if not settings.generation.startswith("vllm"):
        return {
            "use_transformers_continuous_batching": settings.generation == "trl_continuous",
            "generation_kwargs": {"max_new_tokens": most, "eos_token_id": list(stop_ids)},
        }
    common = {
        "use_vllm": True,
        "generation_kwargs": {"max_tokens": most, "stop_token_ids": list(stop_ids)},
    }
    if settings.generation == "vllm_server":
        return {
            **common,
            "vllm_mode": "server",
            "vllm_server_base_url": vllm.url,
            "vllm_server_timeout": vllm.start_seconds,
            "vllm_group_port": vllm.group_port,
        }
    return {
        **common,
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": vllm.memory_share,
        "vllm_tensor_parallel_size": vllm.tensor_parallel,
        "vllm_max_model_length": config.rollout.token_budget + most,
        "vllm_enable_sleep_mode": vllm.sleep,
    }


def check_vllm(settings: ModelSettings) -> None:
    """Refuse vLLM where it is not installed, or has no GPU to exchange weights with.

    Raises:
        UserError: naming what is missing.
    """
    if settings.generation.startswith("vllm"):
        require("vllm")
        if not torch.cuda.is_available():
            way = "use policy.generation=transformers here"
            raise UserError(f"policy.generation: {settings.generation} needs a CUDA GPU; {way}")
