"""What a run needs of the machine, and what to do where it is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rods.config import Config
from rods.errors import UserError
from rods.extras import BENCHMARK, COMMANDS, MODEL, TRAINER, distribution, installed
from rods.policies.model import ModelSettings

GIB = 2**30
VLLM = ("0.22", "0.31")  # what TRL 1.16 works with
LAUNCH = (
    "accelerate launch --num_processes {count} --mixed_precision bf16 --use_fsdp --fsdp_version 2"
    " --fsdp_auto_wrap_policy TRANSFORMER_BASED_WRAP --fsdp_state_dict_type FULL_STATE_DICT"
    " -m rods train"
)


class Need(NamedTuple):
    """One thing that a run needs.

    Attributes:
        found: what is here.
        mend: what to do if it is missing.
        decisive: whether `rods train` refuses to begin without it.
    """

    name: str
    there: bool
    found: str
    mend: str = ""
    decisive: bool = False


def needs(config: Config, checkpoint: float | None = None) -> list[Need]:
    """All that a run needs.

    Args:
        checkpoint: bytes of one checkpoint, if they are known.
    """
    found = [*_packages(config), *_devices(config)]
    if isinstance(config.policy, ModelSettings):
        found.append(_weights(config.policy))
    if checkpoint is not None:
        free, wanted = shutil.disk_usage(Path.cwd()).free, 3 * checkpoint
        size = f"{free / GIB:.0f} GiB free, three checkpoints are {wanted / GIB:.0f} GiB"
        found.append(Need("disk", free > wanted, size, "put the run folder on a larger disk"))
    return found


def check_machine(config: Config, processes: int) -> None:
    """Refuse to begin a run that is sized for GPUs on a machine without them, or without vLLM.

    Args:
        processes: those that train.

    Raises:
        UserError: something is missing; the message names all of it.
    """
    if not config.hardware.gpus:
        return
    found = [*_packages(config), *_devices(config)]
    found += _started(config, processes) if _cuda() else ()
    missing = [need for need in found if need.decisive and not need.there]
    if missing:
        parts = "; ".join(f"{n.name}: {n.found}: {n.mend}" for n in missing)
        more = f"rods train --preset {config.preset} --dry-run shows all"
        raise UserError(f"this machine lacks what the run is sized for: {parts} ({more})")


def _packages(config: Config) -> Iterator[Need]:
    names = [*TRAINER, *(BENCHMARK if config.environment.name == "bfcl" else ())]
    names += config.report_to
    names += MODEL if config.synthesis.endpoint else ()
    policy = config.policy
    if isinstance(policy, ModelSettings):
        names += ["peft"] if policy.lora else []
        names += ["gguf"] if policy.model.endswith(".gguf") or "package:" in policy.model else []
        if policy.generation.startswith("vllm"):
            yield _vllm()
    for name in names:
        version = installed(name)
        command = COMMANDS.get(name, f"pip install {distribution(name)}")
        yield Need(distribution(name), version is not None, version or "not installed", command)


def _vllm() -> Need:
    version = installed("vllm")
    usable = version is not None and _parts(VLLM[0]) <= _parts(version)[:2] <= _parts(VLLM[1])
    install = f"pip install 'vllm>={VLLM[0]},<={VLLM[1]}'"
    return Need("vllm", usable, version or "not installed", install, decisive=True)


def _devices(config: Config) -> Iterator[Need]:
    hardware, policy = config.hardware, config.policy
    if not hardware.gpus:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
        enough = size >= hardware.memory
        yield Need("memory", enough, f"{size:.0f} of {hardware.memory:.0f} GiB", "use a larger one")
        return
    cuda = _cuda()
    name = f"{hardware.gpus} GPU{'s' * (hardware.gpus > 1)} of {hardware.memory:.0f} GiB"
    if cuda is None:
        mend = "run it where they are, or change hardware.gpus"
        yield Need(name, False, "no CUDA device", mend, decisive=True)
        return
    count, size, half = cuda
    here = int(os.environ.get("LOCAL_WORLD_SIZE", hardware.gpus))  # others are in other machines
    there = count >= here and size >= hardware.memory
    found, mend = f"{count} of {size:.0f} GiB", "change hardware.gpus or hardware.memory"
    yield Need(name, there, found, mend, decisive=True)
    if isinstance(policy, ModelSettings) and policy.dtype == "bfloat16":
        found = "the GPU has it" if half else "the GPU does not have it"
        yield Need("bfloat16", half, found, "set policy.dtype=float32", decisive=True)


def _started(config: Config, processes: int) -> Iterator[Need]:
    """How the processes must have been started."""
    hardware = config.hardware
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
    name = f"{hardware.gpus} processes{' with FSDP' * hardware.sharded}"
    there = processes == hardware.gpus and (sharded or not hardware.sharded)
    found = f"this is {processes}{', without FSDP' * (hardware.sharded and not sharded)}"
    command = LAUNCH if hardware.sharded else "torchrun --nproc-per-node {count} -m rods train"
    mend = f"start it with `{command.format(count=hardware.gpus)} ...`, or change hardware.gpus"
    yield Need(name, there, found, mend, decisive=True)


def _weights(settings: ModelSettings) -> Need:
    """Where the weights are; the hub is not asked."""
    model = settings.model
    if model.startswith("package:") or Path(model).exists():
        return Need("weights", True, model)
    from huggingface_hub import get_token, try_to_load_from_cache

    names = ("model.safetensors", "model.safetensors.index.json")
    cached = [try_to_load_from_cache(model, name, revision=settings.revision) for name in names]
    if any(isinstance(path, str) for path in cached):
        return Need("weights", True, "in the hub's cache")
    token = "a token is set" if get_token() else "no token is set, which gated models need"
    mend = f"hf download {model}, or name a folder as policy.model"
    return Need("weights", False, f"not on this machine; {token}", mend)


def _cuda() -> tuple[int, float, bool] | None:
    """Number of GPUs, GiB of the smallest, and whether all compute in bfloat16."""
    if installed("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    sizes = [
        torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count())
    ]
    return len(sizes), min(sizes) / GIB, torch.cuda.is_bf16_supported()


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())
