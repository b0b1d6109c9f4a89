"""What verl is asked for, without verl."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rods.errors import UserError
from rods.presets import load_config
from rods.trainers.verl.settings import Cluster, settings

FOLDER = Path("/runs/one")
NEEDS_VERL = "--nodes, --ray, --rollout, --makers, --no-seeded and --verl need --engine verl"


def asked(*changes: str, preset: str = "qwen3-4b", **cluster: Any) -> dict[str, Any]:
    return settings(load_config(preset, changes), FOLDER, Cluster(**cluster))


def test_the_paper_s_values_reach_verl() -> None:
    found = asked()
    assert found["algorithm.adv_estimator"] == "grpo"
    assert found["actor_rollout_ref.rollout.n"] == 16
    assert found["data.train_batch_size"] == found["actor_rollout_ref.actor.ppo_mini_batch_size"]
    assert found["actor_rollout_ref.actor.clip_ratio_high"] == 0.28
    assert found["actor_rollout_ref.actor.loss_agg_mode"] == "seq-mean-token-mean"
    assert (found["data.max_prompt_length"], found["data.max_response_length"]) == (8192, 24576)
    assert found["actor_rollout_ref.actor.use_kl_loss"] is True
    assert (
        found["actor_rollout_ref.actor.clip_ratio_c"] > math.e**20
    )  # the most that a ratio can be
    assert found["trainer.default_local_dir"] == "/runs/one/checkpoints"
    assert found["data.shuffle"] is False and found["data.dataloader_num_workers"] == 0


def test_gpus_are_divided_among_nodes() -> None:
    found = asked(nodes=2)
    assert (found["trainer.nnodes"], found["trainer.n_gpus_per_node"]) == (2, 4)


def test_adapters_reach_verl() -> None:
    found = asked("policy.lora={rank: 8, alpha: 16}")
    assert found["actor_rollout_ref.model.lora_rank"] == 8
    assert found["actor_rollout_ref.model.target_modules"] == "all-linear"


@pytest.mark.parametrize(
    ("changes", "cluster", "message"),
    [
        (["optimizer.schedule=linear"], {}, "optimizer.schedule"),
        (["policy.revision=abc"], {}, "policy.revision"),
        (["policy.lora={dropout: 0.1}"], {}, "policy.lora.dropout"),
        ([], {"nodes": 3}, "hardware.gpus"),
        ([], {"rollout": "other"}, "--rollout other"),
        ([], {"makers": 2}, "--makers: .*synthesis.mode=inline"),
        (["synthesis={mode: inline, endpoint: x}"], {"makers": 2}, "--makers: .*endpoint"),
    ],
)
def test_what_verl_does_not_have_is_refused(
    changes: list[str], cluster: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        asked(*changes, **cluster)


def test_another_kind_of_policy_is_refused() -> None:
    with pytest.raises(UserError, match=r"policy\.name"):
        asked(preset="tiny")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "slime"], "--engine slime: choose one of trl, verl"),
        (["--nodes", "2"], NEEDS_VERL),
        (["--verl", "a.b=1"], NEEDS_VERL),
        (["--makers", "2"], NEEDS_VERL),
        (["--no-seeded"], NEEDS_VERL),
    ],
)
def test_options_of_the_engine(rods, options: list[str], message: str, tmp_path: Path) -> None:
    done = rods("train", "--run", str(tmp_path / "run"), *options)
    assert done.code == 2 and message in done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("package", ["ray", "verl"])
def test_a_missing_verl_is_named_before_anything_is_written(
    rods, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    def find(name: str) -> Any:
        # What comes before it is there in any environment of this test.
        return None if name == package else find_spec("torch" if name == "ray" else name)

    monkeypatch.setattr("rods.extras.find_spec", find)
    done = rods("train", "--run", str(tmp_path / "run"), "--engine", "verl", "--preset", "qwen3-4b")
    assert done.code == 2
    assert f"{package} is not installed: make cluster makes the environment .venv-verl" in done.err
    assert not (tmp_path / "run").exists()
