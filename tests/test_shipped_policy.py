"""The policy that comes with the package: of the preset's settings, and of today's words."""

from __future__ import annotations

import json
from pathlib import Path

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import tool_specs
from rods.micro.benchmark import SHIPPED, shipped, vocabulary
from rods.micro.model import MicroForCausalLM
from rods.micro.renderer import build_tokenizer
from rods.micro.tokenizer import MicroTokenizer
from rods.presets import load_config


def test_it_is_the_one_of_the_preset() -> None:
    config = load_config("micro").policy
    version = BfclEnvironment().version
    assert shipped(config, version) == SHIPPED
    assert shipped(config, f"{version}.post1") is None
    assert shipped(config.model_copy(update={"seed": 1}), version) is None
    assert shipped(load_config("tiny").policy, version) is None
    model = MicroForCausalLM.from_pretrained(SHIPPED / "model")
    assert (model.config.width, model.config.layers, model.config.heads) == (
        config.width,
        config.layers,
        config.heads,
    )
    assert model.config.vocab_size == len(MicroTokenizer.load(SHIPPED / "tokenizer.json"))


def test_its_words_are_those_of_the_benchmark_and_the_phrases(tmp_path: Path) -> None:
    build_tokenizer(vocabulary(BfclEnvironment()), tool_specs()).save(tmp_path / "tokenizer.json")
    made, kept = (
        json.loads((folder / "tokenizer.json").read_text("utf-8")) for folder in (tmp_path, SHIPPED)
    )
    assert made == kept, "make it again: python experiments/micro_policy.py"


def test_it_holds_no_task() -> None:
    """Weights, words and settings; the tasks are made from the installed benchmark."""
    names = {path.name for path in SHIPPED.rglob("*") if path.is_file()}
    assert names == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "settings.json",
        "tokenizer.json",
    }
