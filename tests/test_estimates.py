"""The dry run's estimates, against what `torch` holds and against the paper's arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rods.config import Config
from rods.policies.model import ModelSettings
from rods.preflight.memory import Memory, estimate
from rods.preflight.model import find_dimensions
from rods.preflight.schedule import epochs
from rods.presets import load_config

MODEL = {
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "num_hidden_layers": 3,
    "vocab_size": 1000,
}
TOKENS = 250


def config_of(folder: Path, *settings: str) -> Config:
    chosen = (f"policy.model={folder}", f"rollout.token_budget={TOKENS}", *settings)
    return load_config("smol", ["optimizer.microbatch=1", "rollout.tasks_per_step=2", *chosen])


def held_for_backward(model: Any, half: bool) -> int:
    """Bytes that a forward pass over one row keeps, weights and their copies apart."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if TOKENS in tensor.shape:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.randint(0, MODEL["vocab_size"], (1, TOKENS))
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=half):
        states = model.model(input_ids=ids, use_cache=False).last_hidden_state
    assert states.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "llama"])
@pytest.mark.parametrize("half", [True, False])
def test_memory_is_what_torch_holds(family: str, half: bool, tmp_path: Path) -> None:
    AutoConfig.for_model(family, **MODEL).save_pretrained(tmp_path)
    config = config_of(tmp_path, f"policy.dtype={'bfloat16' if half else 'float32'}")
    found = estimate(config, find_dimensions(config), 10)

    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path))
    weights = list(model.parameters())
    assert found.always["weights"] == sum(w.nbytes for w in weights)
    optimizer = torch.optim.AdamW(weights)
    ids = torch.randint(0, 1000, (1, 8))
    out = model(ids, use_cache=True)
    out.logits.sum().backward()
    optimizer.step()
    assert found.always["gradients"] == sum(w.grad.nbytes for w in weights if w.grad is not None)
    moments = [t for s in optimizer.state.values() for t in s.values() if t.ndim]
    assert found.always["optimizer"] == sum(t.nbytes for t in moments)
    cached = sum(
        t.nbytes for layer in out.past_key_values.layers for t in (layer.keys, layer.values)
    )
    rows, wide = config.policy.rows, 2 if half else 4
    assert found.generation["keys and values"] == rows * cached / 8 * TOKENS * wide / 4

    model.train()
    plain = held_for_backward(model, half)
    assert found.plain == pytest.approx(plain, rel=0.1)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    kept = held_for_backward(model, half) + plain / MODEL["num_hidden_layers"]
    assert found.training["activations"] == pytest.approx(kept, rel=0.15)


def memory(*settings: str) -> Memory:
    config = load_config("llama3.1-8b", settings)
    return estimate(config, find_dimensions(config), 1000)


def test_memory_by_configuration() -> None:
    sharded, alone = memory(), memory("hardware.sharded=false")
    for part in ("weights", "gradients", "optimizer", "reference"):
        assert alone.always[part] == pytest.approx(8 * sharded.always[part])
    assert alone.peak > 78 * 2**30 > sharded.peak
    assert memory("optimizer.kl=0").always["reference"] == 0
    assert memory("policy.gradient_checkpointing=false").training["activations"] == alone.plain
    assert memory("policy.generation=vllm_server").generation == {}
    assert memory("policy.vllm.memory_share=0.2").episodes == 0, "the weights alone are more"
    lora = memory("policy.lora={rank: 16}", "hardware.sharded=false")
    assert lora.peak < 78 * 2**30
    assert isinstance(load_config("llama3.1-8b").policy, ModelSettings)


FOUR = ("base", "miss_func", "miss_param", "long_context")


def growth(seeds: int, *settings: str) -> list[tuple[int, int, int]]:
    """Tasks of the pool, variants and steps of each epoch of the last stage."""
    config = load_config("qwen3-4b", settings)
    found = epochs(config, dict.fromkeys(FOUR, seeds // 4))
    return [(sum(e.tasks.values()), e.variants, e.steps) for e in found if e.stage == 2]


def test_growth_of_the_pool() -> None:
    """In the paper: from 400 with beta = 20 %: +80, +96, +115, then what P_max leaves."""
    paper = growth(400, "steps=130")
    assert [tasks for tasks, _, _ in paper][:6] == [400, 480, 576, 691, 800, 800]
    assert [steps for _, _, steps in paper][:5] == [12, 15, 18, 21, 25]
    ours = growth(312)
    assert [tasks for tasks, _, _ in ours] == [312, 374, 449, 539, 646]
    assert [steps for _, _, steps in ours] == [9, 11, 14, 16, 20]
    assert growth(400, "steps=130", "pool.p_max=50")[-1][:2] == (450, 50)


def test_an_arm_without_variants() -> None:
    found = epochs(load_config("qwen3-4b", arm="static"), dict.fromkeys(FOUR, 78))
    assert {(sum(e.tasks.values()), e.variants) for e in found} == {(312, 0)}
    assert sum(e.steps for e in found) == 90


def test_a_stage_that_only_a_plateau_ends() -> None:
    stages = "stages=[{reward: format, plateau: {}}, {reward: progress}]"
    found = epochs(load_config("qwen3-4b", [stages]), {"base": 64})
    assert [epoch.stage for epoch in found[:7]] == [0] * 5 + [1] * 2
