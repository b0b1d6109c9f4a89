"""The parts of verl that RODS relies on are where they were in the versions that were tried."""

from __future__ import annotations

import inspect
from importlib import import_module
from operator import attrgetter
from typing import Any

import pytest
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from rods.extras import installed
from rods.trainers.verl.agent import RodsAgent
from rods.trainers.verl.engine import RodsTrainer, WatchedBuffer
from rods.trainers.verl.launch import TRIED

pytestmark = pytest.mark.cluster
TRAINER = "verl.trainer.ppo.v1.trainer_sync:PPOTrainerSync"
AGENTS = "verl.experimental.agent_loop.agent_loop"
PARTS = {
    f"{TRAINER}._balance_batch": "batch metrics",
    f"{TRAINER}._compute_advantage": "batch metrics",
    f"{TRAINER}._load_checkpoint": "",
    f"{TRAINER}._save_checkpoint": "",
    f"{TRAINER}.fit": "agent_loop_manager",
    f"{TRAINER}.get_llm_client": "",
    f"{TRAINER}.on_step_begin": "",
    f"{TRAINER}.on_step_end": "",
    f"{TRAINER}.on_train_begin": "",
    f"{TRAINER}.step": "metrics timing_raw",
    "verl.trainer.ppo.v1.trainer_base:register_trainer": "name",
    "verl.trainer.ppo.v1.replay_buffer:ReplayBuffer": "poll_interval",
    "verl.trainer.ppo.v1.replay_buffer:ReplayBuffer._wait_for_next_poll": "",
    f"{AGENTS}:AgentLoopBase.run": "sampling_params",
    f"{AGENTS}:register": "agent_name",
    "verl.trainer.main_ppo:run_ppo": "config task_runner_class",
    "verl.trainer.main_ppo:TaskRunnerV1.__ray_metadata__.modified_class.run": "config",
    "verl.trainer.constants_ppo:get_ppo_ray_runtime_env": "config",
    "verl.trainer.ppo.utils:need_reference_policy": "",
    "verl.utils.config:validate_config": "use_reference_policy use_critic",
    "transfer_queue:kv_batch_get": "keys partition_id select_fields",
    "transfer_queue:kv_batch_put": "keys partition_id fields",
    "transfer_queue.metadata:KVBatchMeta.reorder": "",
}
"""By the name of a part: parameters that we give it by name, or that it is called with."""


def moved(name: str) -> str:
    """What is wrong with a part, and what to do; "" if nothing is."""
    module, _, path = name.partition(":")
    todo = (
        f"Find what verl {installed('verl')} has instead, change rods/trainers/verl (engine.py says"
        " how each part is used), and when make cluster passes, add the version to TRIED in"
        " launch.py."
    )
    try:
        part: Any = attrgetter(path)(import_module(module))
    except (ImportError, AttributeError) as error:
        return f"{name} is gone ({error}). {todo}"
    there = inspect.signature(part).parameters
    absent = [each for each in PARTS[name].split() if each not in there]
    return f"{name} has no parameter {', '.join(absent)}. {todo}" if absent else ""


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_where_it_was(name: str) -> None:
    assert not (why := moved(name)), why


def test_a_moved_part_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{TRAINER}._balance_batch"
    monkeypatch.setattr(PPOTrainerSync, "_balance_batch", lambda self, rows: None)
    assert "_balance_batch has no parameter batch, metrics. Find what verl" in moved(name)
    owner = next(each for each in PPOTrainerSync.__mro__ if "_compute_advantage" in vars(each))
    monkeypatch.delattr(owner, "_compute_advantage")
    assert "PPOTrainerSync._compute_advantage is gone" in moved(f"{TRAINER}._compute_advantage")


def test_all_that_is_overridden_is_among_the_parts() -> None:
    listed = {name.rpartition(".")[2] for name in PARTS}
    for ours in (RodsTrainer, WatchedBuffer, RodsAgent):
        theirs = {name for base in ours.__mro__[1:] for name in vars(base)}
        overridden = {name for name in vars(ours) if name in theirs and not name.startswith("__")}
        assert overridden <= listed | {"_abc_impl"}
        assert overridden


def test_the_version_that_is_installed_was_tried() -> None:
    assert installed("verl") in TRIED
