"""The kind of policy "model": any causal model, whole or with LoRA, on tasks in their own words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from _pytest.mark import ParameterSet
from safetensors.torch import load_file

from commandline import refused
from model_runs import Train, lines, weights
from plain_trainer import use_plain_trainer
from rods.policies.causal_model import load_model
from rods.policies.model import ModelSettings
from rods.policies.registry import kind_of
from rods.policies.tasks import pipeline_of
from rods.presets import load_config
from rods.store.store import Store
from stock_model import make_model

LORA = "policy.lora={rank: 2, targets: [q_proj, v_proj]}"


def slow(*values: object) -> ParameterSet:
    return pytest.param(*values, marks=pytest.mark.slow)


def test_all_weights_or_the_adapters_alone_are_trained(
    train: Train, shop: Path, stock: Path
) -> None:
    done = train("whole")
    assert done.code == 0, done.err
    assert all(line["signal"] > 0 for line in lines(shop / "whole"))
    before, after = load_file(stock / "model.safetensors"), weights(shop / "whole", 2)
    moved = {name for name, weight in before.items() if not weight.equal(after[name])}
    assert len(moved) > len(before) / 2
    done = train("lora", LORA)
    assert done.code == 0, done.err
    adapters = weights(shop / "lora", 2, "adapter_model.safetensors")
    assert len(adapters) == 2 * 2 * 2, "A and B at two layers' two matrices"
    assert all(w.any() for name, w in adapters.items() if "lora_B" in name)
    # The adapters have no effect before the first update, so the first rollouts are the same.
    first = [lines(shop / name)[0] for name in ("whole", "lora")]
    assert first[0]["generated_tokens"] == first[1]["generated_tokens"]
    assert first[0]["endings"] == first[1]["endings"]


@pytest.mark.parametrize(
    ("adapters", "loss"),
    [((), "dapo"), slow((), "grpo"), slow((LORA,), "dapo"), slow((LORA,), "grpo")],
)
def test_the_first_step_is_that_of_plain_trl(
    train: Train,
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    adapters: tuple[str, ...],
    loss: str,
) -> None:
    """On the same rollouts: draws depend on the seed alone, and the first weights are the same."""
    settings = (*adapters, f"optimizer.loss={loss}", "optimizer.microbatch=4", "steps=1")
    assert train("ours", *settings).code == 0
    use_plain_trainer(monkeypatch)
    assert train("plain", *settings).code == 0
    (ours,), (plain,) = lines(shop / "ours"), lines(shop / "plain")
    assert plain["grad_norm"] > 0
    for name in ("loss", "grad_norm"):
        assert ours.pop(name) == pytest.approx(plain.pop(name), rel=1e-4, abs=1e-7), name
    assert ours == plain


@pytest.mark.parametrize(
    ("adapters", "kl"), [((LORA,), 0.1), slow((), 0.1), slow((), 0.0), slow((LORA,), 0.0)]
)
def test_a_resumed_run_equals_one_that_was_not_interrupted(
    train: Train, shop: Path, adapters: tuple[str, ...], kl: float
) -> None:
    """Also with a KL term, whose reference is the model that the run began with."""
    settings = (*adapters, f"optimizer.kl={kl}")
    assert train("whole", *settings, "steps=4").code == 0
    assert train("broken", *settings).code == 0
    again = train("broken", *settings, "steps=4")
    assert again.code == 0, again.err
    assert lines(shop / "broken") == lines(shop / "whole")
    name = "adapter_model.safetensors" if adapters else "model.safetensors"
    whole, broken = (weights(shop / run, 4, name) for run in ("whole", "broken"))
    assert whole.keys() == broken.keys()
    assert all(weight.equal(broken[key]) for key, weight in whole.items())


def test_other_frozen_weights_are_refused(
    train: Train, shop: Path, stock: Path, tmp_path: Path
) -> None:
    """A checkpoint has the adapters only."""
    copied = shop / "copied"
    shutil.copytree(stock, copied)
    assert train("run", LORA, f"policy.model={copied}").code == 0
    make_model(copied, size=600, ending=0.03, seed=1)
    refused(train("run", LORA, f"policy.model={copied}", "steps=3"), "the model", "bring it back")


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        slow("policy.model=no/such", ["policy.model", "no/such", "cannot be loaded"]),  # retried
        ("policy.model=x.gguf", ["gguf"]),
        ("policy.model=package:nothing-here", ["nothing-here is not installed", "pip install"]),
        ("policy.model=package:os.path", ["no name of a package"]),
        (
            "policy.lora={targets: [q_proj, qkv]}",
            ["no linear layers qkv", "there are: ", "down_proj"],
        ),
        ("rollout.token_budget=40000", ["rollout.token_budget", "32768 positions"]),
        ("rollout.token_budget=64", ["no training task fits", "the shortest prompt has"]),
        ("policy.generation=vllm_server", ["vllm is not installed", "pip install"]),
        ("policy.generation=trl_continuous", ["policy.dtype=float32"]),
        ("policy.vllm.url=http://me:word@server", ["policy.vllm.url", "without user and password"]),
        ("report_to=[mlflow]", ["mlflow is not installed: pip install mlflow"]),
        ("report_to=[clearml]", ["report_to"]),
        ("optimizer.microbatch=3", ["optimizer.microbatch"]),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    train: Train, shop: Path, setting: str, named: list[str]
) -> None:
    refused(train("run", setting), *named)
    assert not (shop / "run").exists(), "nothing half-written"


def test_tasks_that_do_not_fit_are_counted_and_named(train: Train, shop: Path) -> None:
    rows = [json.loads(line) for line in (shop / "tasks.jsonl").read_text().splitlines()]
    for number in (0, 5):  # one trains, one is a test
        rows[number]["turns"][0]["user"] = "Good morning. " * 100
    (shop / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = train("run", "rollout.token_budget=650")
    assert done.code == 0, done.err
    notice = "The prompts of 2 tasks do not fit rollout.token_budget = 650 (t7, t12); 1 of them"
    assert notice in " ".join(done.out.split())
    store = Store(shop / "run", role="reader")
    left_out, seeds = store.meta("left_out"), store.tasks().values()
    measured = [row for row in store.measures.heldout() if row.side == "test"]
    store.close()
    assert set(left_out) == {"t7", "t12"} and "tokens" in left_out["t7"]
    assert "t7" not in {task.source for task in seeds}
    assert {row.episodes for row in measured} == {2}, "the long one is measured, as failed"


@pytest.mark.slow
def test_the_benchmarks_tasks_are_in_their_own_words(stock: Path) -> None:
    settings = [f"policy.model={stock}", "policy.name=model", "rollout.token_budget=16000"]
    config = load_config("tiny", settings)
    tasks = kind_of("model").tasks(config, lambda what, share: None)
    assert {side: len(found) for side, found in tasks.sides.items()} == {
        "train": 318,
        "validation": 76,
        "test": 400,
    }
    assert not tasks.notice and all("withheld" in why or why for why in tasks.left_out.values())
    known = {task.id: task for found in tasks.sides.values() for task in found}
    assert all(task.note == "" for task in known.values())
    pipeline = pipeline_of(config, tasks)
    assert pipeline.fits(tasks.train[0])
    assert pipeline.critic.review(tasks.test[0]) == "critique: near a held-out task"
    assert pipeline.critic.review(tasks.train[0]) == "critique: duplicate"


def test_trl_samples_by_its_own_generation(train: Train, shop: Path) -> None:
    done = train("run", "policy.generation=trl", LORA)
    assert done.code == 0, done.err
    found = lines(shop / "run")
    assert all(line["signal"] > 0 and line["grad_norm"] > 0 for line in found)
    assert train("again", "policy.generation=trl", LORA).code == 0
    assert lines(shop / "again") == found, "draws follow from the run's random seed"


def test_a_model_is_loaded_for_measurement(stock: Path) -> None:
    loaded = load_model(ModelSettings(model=str(stock)))
    assert loaded.dtype is torch.float32 and not loaded.model.training
    assert loaded.tokenizer.eos_token_id in loaded.renderer.stop_ids
