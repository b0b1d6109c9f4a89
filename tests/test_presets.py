"""The presets of large models: every value has a source, and the page has every value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from rods.errors import UserError
from rods.files.reading import parse_yaml
from rods.presets import load_config
from rods.store.identity import check_settings
from rods.store.store import Store

LARGE = ("qwen3-4b", "qwen2.5-7b", "llama3.1-8b")
FOLDER = files("rods") / "presets"
PAGE = (Path(__file__).parents[1] / "docs" / "presets.md").read_text("utf-8")
ROW = re.compile(r"^\| `([a-z_.]+)`(?: \([^)]*\))? \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
SOURCE = re.compile(r"#.*(?:\bpaper\b|\bEnvTuning\b|\bours\b|what a GPU)")


def leaves(settings: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield path + name, value


@pytest.mark.parametrize("file", ["shared/paper.yaml", *(f"{name}.yaml" for name in LARGE)])
def test_every_value_has_a_source(file: str) -> None:
    lines = (FOLDER / file).read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        heading = line.rstrip().endswith(":") or line.startswith(("extends", "  name: model"))
        if not line.strip() or line.lstrip().startswith("#") or heading:
            continue
        above = number
        while lines[above - 1].lstrip().startswith(("#", "- {")):
            above -= 1
        found = " ".join(lines[max(0, above - 1) : number + 1])
        assert SOURCE.search(found), f"{file}: {line}"


def test_the_page_has_every_value_of_the_presets() -> None:
    shown = {name: value for name, value, _ in ROW.findall(PAGE)}
    values = dict(leaves(parse_yaml((FOLDER / "shared/paper.yaml").read_text("utf-8"))))
    del values["stages"], values["policy.name"]
    for name, value in values.items():
        assert parse_yaml(shown[name]) == value, name
    for name in LARGE:
        loaded = dict(leaves(load_config(name).model_dump(mode="json")))
        assert {path: loaded[path] for path in values} == values


def test_the_page_has_what_differs() -> None:
    for place, name in enumerate(LARGE):
        loaded = dict(leaves(load_config(name).model_dump(mode="json")))
        for path in ("policy.model", "hardware.training", "hardware.generation"):
            (row,) = [r for r in PAGE.splitlines() if r.startswith(f"| `{path}`")]
            shown = parse_yaml(row.split(" | ")[1 + place].strip(" |"))
            assert shown == loaded[path], (name, path)


def test_stages_of_the_paper() -> None:
    stages = load_config("qwen3-4b").stages
    found = [(s.reward, s.categories, s.epochs, s.expand) for s in stages]
    assert found == [
        ("format", ("base",), 5, False),
        ("progress", ("base",), 5, False),
        ("progress", (), 5, True),
    ]


def test_a_setting_within_a_shared_section() -> None:
    config = load_config("llama3.1-8b", ["policy.vllm.memory_share=0.5"])
    assert config.policy.model == "meta-llama/Llama-3.1-8B-Instruct"
    assert (config.policy.vllm.memory_share, config.policy.vllm.sleep) == (0.5, True)


def test_hardware_may_change_when_a_run_continues(tmp_path: Path) -> None:
    with closing(Store(tmp_path)) as store:
        begun = ["optimizer.microbatch=2"]
        check_settings(store, load_config("smol", begun), tmp_path)
        more = [*begun, "hardware={gpus: 2, memory: 40, sharded: true, generation: 9, training: 9}"]
        check_settings(store, load_config("smol", more), tmp_path)
        with pytest.raises(UserError, match=r"optimizer\.kl"):
            check_settings(store, load_config("smol", [*begun, "optimizer.kl=0.5"]), tmp_path)
