"""verl's own classes accept the configuration of each preset of a large model."""

from __future__ import annotations

from pathlib import Path

import pytest
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import omega_conf_to_dataclass, validate_config

from rods.errors import UserError
from rods.presets import load_config
from rods.trainers.verl.config import Cluster, settings, verl_config

pytestmark = pytest.mark.cluster
PRESETS = ("qwen2.5-7b", "qwen3-4b", "llama3.1-8b")


@pytest.mark.parametrize("server", ["vllm", "sglang"])
@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("preset", PRESETS)
def test_verl_accepts_the_preset(preset: str, nodes: int, server: str, tmp_path: Path) -> None:
    config = load_config(preset)
    made = verl_config(config, tmp_path, Cluster(nodes=nodes, rollout=server), "model")
    assert not need_critic(made)
    assert need_reference_policy(made) == (config.optimizer.kl > 0)
    validate_config(made, use_reference_policy=need_reference_policy(made), use_critic=False)
    for part in ("actor", "rollout"):
        omega_conf_to_dataclass(made.actor_rollout_ref[part])
    omega_conf_to_dataclass(made.algorithm)
    assert made.trainer.nnodes * made.trainer.n_gpus_per_node == config.hardware.gpus
    assert made.data.train_batch_size == config.rollout.tasks_per_step
    assert made.actor_rollout_ref.rollout.n == config.rollout.group_size


def test_every_setting_reaches_verl(tmp_path: Path) -> None:
    config, cluster = load_config("qwen3-4b"), Cluster()
    made = verl_config(config, tmp_path, cluster, "model")
    from omegaconf import OmegaConf

    for path, value in settings(config, tmp_path, cluster).items():
        found = OmegaConf.select(made, path)
        assert found == value or list(found) == list(value), path


def test_a_name_that_verl_does_not_have_is_refused(tmp_path: Path) -> None:
    config = load_config("qwen3-4b")
    with pytest.raises(UserError, match=r"--verl actor_rollout_ref.actor.moved=1: verl has no"):
        verl_config(config, tmp_path, Cluster(overrides=("actor_rollout_ref.actor.moved=1",)), "m")


def test_an_added_name_and_an_override_are_set(tmp_path: Path) -> None:
    attention = "actor_rollout_ref.model.override_config.attn_implementation"
    given = (f"+{attention}=sdpa", "trainer.nnodes=3")
    made = verl_config(load_config("qwen3-4b"), tmp_path, Cluster(overrides=given), "model")
    assert made.actor_rollout_ref.model.override_config.attn_implementation == "sdpa"
    assert made.trainer.nnodes == 3
