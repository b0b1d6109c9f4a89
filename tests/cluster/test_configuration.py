"""verl's own classes accept the configuration of each preset of a large model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import omega_conf_to_dataclass, validate_config

from rods.cli import main
from rods.errors import UserError
from rods.presets import load_config
from rods.trainers.verl.config import verl_config
from rods.trainers.verl.settings import Cluster, settings

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
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


@pytest.mark.parametrize("preset", PRESETS)
def test_a_dry_run_prints_what_verl_accepts(
    preset: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With few tasks, because the lengths of all of them are measured."""
    monkeypatch.syspath_prepend(ROOT)
    tools = ("--env", "examples.clinic.tools:Clinic", "--tasks", "examples/clinic/tasks.yaml")
    monkeypatch.chdir(ROOT)
    options = ("--preset", preset, "--engine", "verl", *tools, "--set", "stages=[{}]")
    monkeypatch.setattr(sys, "argv", ["rods", "train", *options, "--dry-run", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    printed = json.loads(capsys.readouterr().out)
    made = OmegaConf.create(printed["verl"])
    validate_config(made, use_reference_policy=need_reference_policy(made), use_critic=False)
    for part in ("actor", "rollout"):
        omega_conf_to_dataclass(made.actor_rollout_ref[part])
    assert made.trainer.v1.trainer_mode == "rods"
    assert made.data.train_batch_size == printed["settings"]["rollout"]["tasks_per_step"]
    with initialize_config_module("verl.trainer.config", version_base=None):
        assert set(compose("ppo_trainer")) == set(printed["verl"]), (
            "it is verl's whole configuration"
        )


def test_every_setting_reaches_verl(tmp_path: Path) -> None:
    config, cluster = load_config("qwen3-4b"), Cluster()
    made = verl_config(config, tmp_path, cluster, "model")
    for path, value in settings(config, tmp_path, cluster).items():
        found = OmegaConf.select(made, path)
        assert found == value or list(found) == list(value), path


def test_a_name_that_verl_does_not_have_is_refused(tmp_path: Path) -> None:
    config = load_config("qwen3-4b")
    with pytest.raises(UserError, match=r"--verl actor_rollout_ref.actor.moved=1: verl has no"):
        verl_config(config, tmp_path, Cluster(overrides=("actor_rollout_ref.actor.moved=1",)), "m")


@pytest.mark.parametrize(
    "override",
    [
        "data.shuffle=true",
        "data[shuffle]=true",
        "data={shuffle: true}",
        "+data.shuffle=true",
        "data.dataloader_num_workers=2",
        "data.train_batch_size=7",
        "data.gen_batch_size=1",
        "algorithm.filter_groups.enable=true",
        "trainer.n_gpus_per_node=1",
        "trainer.nnodes=3",
        "trainer.v1.trainer_mode=sync",
        "actor_rollout_ref.rollout.n=3",
        "actor_rollout_ref.actor.clip_ratio_c=3.0",
    ],
)
def test_what_rods_sets_cannot_be_overridden(override: str, tmp_path: Path) -> None:
    name = next(iter(OmegaConf.from_dotlist([override.lstrip("+")])))
    with pytest.raises(UserError, match=rf"--verl .*: RODS sets {name}\b.*; use its own setting"):
        verl_config(load_config("qwen3-4b"), tmp_path, Cluster(overrides=(override,)), "m")


def test_an_added_name_and_an_override_are_set(tmp_path: Path) -> None:
    attention = "actor_rollout_ref.model.override_config.attn_implementation"
    given = (f"+{attention}=sdpa", "trainer.log_val_generations=3", "data.shuffle=false")
    made = verl_config(load_config("qwen3-4b"), tmp_path, Cluster(overrides=given), "model")
    assert made.actor_rollout_ref.model.override_config.attn_implementation == "sdpa"
    assert made.trainer.log_val_generations == 3
