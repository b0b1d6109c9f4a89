"""What lets verl's real trainer run on a machine without GPUs. Part of the tests only.

verl imports this module in each of its processes (`VERL_USE_EXTERNAL_MODULES`). It adds a platform
whose device is the CPU, and a rollout server that has the weights of the trainer but writes what a
script says. The log-probabilities are those of the weights, so that training is real.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from replica_files import LOGGED, beside
from verl.plugin.platform import PlatformBase, PlatformRegistry

NAME = "scripted"


class NoDevice(SimpleNamespace):
    """Stands for `torch.cuda`: every function of it does nothing and returns 0."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "mem_get_info":
            return lambda *_: (1, 1)
        if name == "get_device_name":
            return lambda *_: "CPU"
        return lambda *_, **__: 0


@PlatformRegistry.register(platform="pretended")
class PretendedPlatform(PlatformBase):
    """The CPU, which Ray counts as GPUs."""

    device_name = "cpu"
    vendor_name = "nvidia"
    device_module: Any = NoDevice()

    def is_available(self) -> bool:
        return True

    def current_device(self) -> Any:
        return torch.device("cpu")

    def device_count(self) -> int:
        return 1

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    def ray_resource_name(self) -> str:
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def get_device_capability(self, device_index: int = 0) -> tuple[None, None]:
        return None, None

    def is_ipc_supported(self) -> bool:
        return False

    def set_device(self, *_: Any) -> None: ...
    def synchronize(self, *_: Any) -> None: ...
    def manual_seed(self, *_: Any) -> None: ...
    def manual_seed_all(self, *_: Any) -> None: ...
    def set_allocator_settings(self, *_: Any) -> None: ...
    def empty_cache(self) -> None: ...
    def nvtx_range(self, msg: str) -> Any: ...
    def profiler_start(self) -> None: ...
    def profiler_stop(self) -> None: ...
    def cudart(self) -> None: ...


def by_gloo(init: Any) -> Any:
    """torch refuses "cpu:gloo,cpu:gloo", which verl's names for the CPU add up to."""

    def init_process_group(backend: Any = None, *more: Any, **named: Any) -> Any:
        return init("gloo", *more, **named)

    return init_process_group


if os.environ.get("VERL_PLATFORM") == "pretended":
    torch.distributed.init_process_group = by_gloo(torch.distributed.init_process_group)


def _register() -> None:
    """Modules of verl that need all of verl are imported when they are first asked for."""
    from verl.workers.rollout import base, replica

    base._ROLLOUT_REGISTRY[(NAME, "async")] = "replica.ScriptedAdapter"

    def load() -> Any:
        from replica import ScriptedReplica

        return ScriptedReplica

    replica.RolloutReplicaRegistry.register(NAME, load)


_register()


def lose(step: int) -> None:
    """The environment loses the second rollout of the first task of a step."""
    from rods.rollout.episode import Ending
    from rods.rollout.policy import Policy
    from rods.rollout.rollout import Rollout
    from rods.trainers.verl.player import Player
    from rods.trainers.verl.row import Order

    play = Player.play

    async def losing(self: Player, order: Order, policy: Policy) -> Rollout:
        rollout = await play(self, order, policy)
        if (order.step, order.place) != (step, 0) or not policy._name.endswith("-0-1"):  # type: ignore[attr-defined]
            return rollout
        return rollout._replace(ending=Ending.ENVIRONMENT_FAILURE, failure="lost by the test")

    Player.play = losing  # type: ignore[method-assign]


def tear(step: int) -> None:
    """The checkpoint of a step is never complete."""
    from rods.trainers.verl import driver

    mark = driver.mark_complete

    def marking(checkpoint: Path) -> None:
        while checkpoint.name == f"global_step_{step}":
            time.sleep(1)
        mark(checkpoint)

    driver.mark_complete = marking


def keep_logged(file: Path) -> None:
    """Keep what verl's trackers get. Ray may lose the last lines that a process prints."""
    from verl.utils.tracking import Tracking

    log = Tracking.log

    def logging(self: Any, data: Any, step: int, backend: Any = None) -> None:
        log(self, data, step, backend)
        with file.open("a") as lines:
            lines.write(json.dumps({"step": step, "data": data}, default=float) + "\n")

    Tracking.log = logging


what, _, when = os.environ.get("RODS_CLUSTER_FAULT", "").partition(" ")
if what == "loses":
    lose(int(when))
if what == "tears":
    tear(int(when))
if folder := os.environ.get("RODS_CLUSTER_RUN"):
    keep_logged(beside(Path(folder), LOGGED))
