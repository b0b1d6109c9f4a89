"""An estimate of the memory that each process needs, by part.

What is exact: weights, gradients (4 bytes for each that is trained), AdamW's two moments (8 bytes),
the reference of the KL term (another copy of the weights unless adapters are turned off for it, see
TRL's `GRPOTrainer`), and the cache of keys and values.

What is a formula: activations. What a layer of Llama or Qwen keeps of a token for the backward pass
was counted with `torch.autograd.graph.saved_tensors_hooks` (transformers 5.24, SDPA). With
checkpointing each layer keeps its input only, and one layer at a time is computed again (Chen et
al., arXiv 1604.06174).

What is assumed: `OVERHEAD`, and how many tokens a policy writes (`rods.preflight.schedule.MORE`).
"""

from __future__ import annotations

from typing import NamedTuple

from rods.config import Config
from rods.policies.model import ModelSettings, settings_of
from rods.preflight.model import Dimensions

GIB = 2**30
OVERHEAD = 1.5 * GIB  # of CUDA's context, of libraries, and of memory in fragments
LOGIT = 20  # bytes: the logit, its copies in float32, its log-probability and what is temporary


class Memory(NamedTuple):
    """Bytes of one process by part, in each of the two phases.

    Attributes:
        always: what is held in both phases.
        training: while gradients are computed.
        generation: while episodes are played.
        plain: activations without checkpointing, for comparison.
        episodes: whole episodes of `rollout.token_budget` whose keys and values are held at once;
            None if another machine holds them.
    """

    always: dict[str, float]
    training: dict[str, float]
    generation: dict[str, float]
    plain: float
    episodes: float | None

    @property
    def peak(self) -> float:
        """Of the phase that needs more."""
        return sum(self.always.values()) + max(
            sum(self.training.values()), sum(self.generation.values())
        )


def estimate(config: Config, model: Dimensions, written: float) -> Memory:
    """The memory of each process.

    Args:
        written: most tokens that the policy writes in an episode.
    """
    settings, shards = settings_of(config), config.hardware.gpus if config.hardware.sharded else 1
    whole, wide = settings.lora is None, arithmetic(config)
    kept = 4 if whole else wide
    trained = model.parameters if whole else model.adapters
    always = {
        "weights": kept * model.parameters / shards,
        "adapters": 4 * model.adapters / shards,
        "gradients": 4 * trained / shards,
        "optimizer": 8 * trained / shards,
        "reference": kept * model.parameters / shards if whole and config.optimizer.kl else 0.0,
        "overhead": OVERHEAD if config.hardware.gpus else 0.0,
    }
    rows = config.optimizer.microbatch
    tokens = rows * config.rollout.token_budget
    checkpointed, plain = _activations(model, tokens, kept, wide)
    training = {
        "activations": checkpointed if settings.gradient_checkpointing else plain,
        "logits": rows * written * model.vocabulary * LOGIT,
        "casts": _casts(model, kept, wide, shards),
    }
    generation, episodes = _generation(config, settings, model, kept, wide)
    return Memory(always, training, generation, plain, episodes)


def arithmetic(config: Config) -> int:
    """Bytes of a number of the forward pass; `auto` is bfloat16 if the run is sized for GPUs."""
    dtype = settings_of(config).dtype
    half = dtype == "bfloat16" or (dtype == "auto" and config.hardware.gpus > 0)
    return 2 if half else 4


def _activations(model: Dimensions, tokens: int, kept: int, wide: int) -> tuple[float, float]:
    """With checkpointing and without it.

    The norms keep their input and their result in float32. Under autocast each of the five
    projections of these keeps a copy of its own; in float32 two are shared.
    """
    norms = 16 * model.width + (10 if wide == 2 else 8) * model.width
    attention = (2 * wide + (4 + wide) * model.query_norm) * (model.queries + model.keys)
    layer = tokens * (norms + attention + 4 * wide * model.inner)
    return tokens * model.layers * model.width * kept + layer, float(model.layers * layer)


def _casts(model: Dimensions, kept: int, wide: int, shards: int) -> float:
    """Copies of weights for the forward pass: in its data type, or gathered from all shards."""
    if shards > 1:
        return wide * 3.0 * model.block  # one that is used, and the next and the last
    return wide * float(model.parameters) if kept != wide else 0.0


def _generation(
    config: Config, settings: ModelSettings, model: Dimensions, kept: int, wide: int
) -> tuple[dict[str, float], float | None]:
    """The parts of generation, and how many episodes fit at once."""
    one = 2.0 * model.layers * model.keys * wide * config.rollout.token_budget
    if settings.generation == "vllm_server":
        return {}, None  # on GPUs of its own
    if settings.generation == "vllm_colocate":
        share = settings.vllm.memory_share * config.hardware.memory * GIB
        weights = wide * model.parameters / settings.vllm.tensor_parallel
        room = settings.vllm.tensor_parallel * (share - weights - OVERHEAD)
        return {"vLLM": share}, max(0.0, room / one)
    rows = min(settings.rows, -(-config.rollout.rows // config.hardware.processes))
    return {"keys and values": rows * one, "casts": _casts(model, kept, wide, 1)}, float(rows)
