"""Runs the closed loop on verl's real trainer, without GPUs: `python drive.py FOLDER STEPS`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RANKS = 2
OVERRIDES = (
    "actor_rollout_ref.rollout.full_determinism=true",  # the server gets the episode's name
    "actor_rollout_ref.actor.use_torch_compile=false",
    "actor_rollout_ref.actor.fsdp_config.use_torch_compile=false",
    "actor_rollout_ref.ref.use_torch_compile=false",
    "actor_rollout_ref.ref.fsdp_config.use_torch_compile=false",
    "actor_rollout_ref.model.use_remove_padding=false",
    "+actor_rollout_ref.model.override_config.attn_implementation=sdpa",
    "trainer.device=cpu",
    "transfer_queue.backend.SimpleStorage.num_data_storage_units=1",
    "ray_kwargs.ray_init.num_cpus=24",
    "+ray_kwargs.ray_init.num_gpus=2",
)

RAY = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",  # by default any other work on the machine comes first
    "RAY_memory_monitor_refresh_ms": "0",  # it would kill processes if others fill the memory
    "RAY_worker_register_timeout_seconds": "600",
}
"""Variables that Ray reads."""


def settings(model: Path, steps: int) -> dict[str, Any]:
    """The configuration of the run."""
    return {
        "steps": steps,
        "checkpoint_steps": 2,
        "stages": [{"reward": "progress"}],
        "rollout": {
            "group_size": 4, "tasks_per_step": 4, "token_budget": 4000, "action_tokens": 400,
        },
        "boundary": {"rule": "variance", "quota": 4, "cooldown": 0},
        "pool": {"seeds": 8, "p_max": 8, "beta": 0.5, "burn_in": 0.0, "hard": 0.0},
        "synthesis": {"mode": "inline"},
        "optimizer": {"learning_rate": 1e-3, "microbatch": 2},
        "evaluation": {"test_samples": 1, "validation_every": 1, "tasks": 2},
        # A call waits for its turn where the machine is busy.
        "environment": {"limits": {"workers": 1, "seconds": 300, "state_seconds": 300}},
        "hardware": {"gpus": RANKS},
        "policy": {
            "name": "model", "model": str(model), "dtype": "float32",
            "renderer": {"tool_docs": "short"}, "gradient_checkpointing": False,
        },
    }  # fmt: skip


def variables(folder: Path) -> dict[str, str]:
    """The environment of all processes of the run."""
    paths = [str(HERE), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "VERL_USE_EXTERNAL_MODULES": "harness",
        "VERL_PLATFORM": "pretended",
        "VERL_ENGINE_DEVICE": "cuda",
        "RODS_CLUSTER_RUN": str(folder),
        **RAY,
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }


def main(folder: Path, steps: int) -> None:
    from rods.config import Config
    from rods.errors import UserError
    from rods.trainers.verl.launch import train
    from rods.trainers.verl.settings import SEEDS, Cluster
    from rods.trainers.verl.stopping import Asking

    model = folder.parent / "model"
    if not model.exists():
        from tiny_model import save_model

        save_model(model)
    config = Config.model_validate(settings(model, steps))
    SEEDS["scripted"] = "seed"
    address = os.environ.get("RODS_CLUSTER_RAY")
    cluster = Cluster(
        address=address,
        nodes=RANKS if address else 1,
        rollout="scripted",
        workers=2,
        makers=int(os.environ.get("RODS_CLUSTER_MAKERS", "0")),
        overrides=OVERRIDES,
    )
    try:
        train(config, folder, cluster, Asking(folder))
    except KeyboardInterrupt:
        sys.exit(130)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    run = Path(sys.argv[1]).absolute()
    wanted = variables(run)
    if any(os.environ.get(name) != value for name, value in wanted.items() if name != "PYTHONPATH"):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})
    main(run, int(sys.argv[2]))
