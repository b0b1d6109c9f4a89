"""The trainers of docs/trainers.md, each as it is written there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

import pretended_slime
from doubles import SEEDS, RenamingSynthesis, content, make_config, play
from rods.loop import Loop
from rods.store.store import Store
from rods.task import Task

PAGE = (Path(__file__).parents[1] / "docs" / "trainers.md").read_text("utf-8")
ARGS = {"rollout_batch_size": 2, "n_samples_per_prompt": 2, "reward_key": None}


def block(heading: str) -> str:
    """The code of a section."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]


@pytest.fixture
def slime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The adapter's names; slime is a double."""
    module = ModuleType("my_project")
    module.make_loop = lambda args: new_loop(tmp_path / args.save)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_project", module)
    for name in ("slime", "slime.rollout", "slime.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for name in ("slime.rollout.data_source", "slime.utils.types"):
        monkeypatch.setitem(sys.modules, name, pretended_slime)
    names: dict[str, Any] = {"__name__": "adapter"}
    exec(compile(block("slime"), "docs/trainers.md", "exec"), names)
    return SimpleNamespace(**names)


def new_loop(folder: Path) -> Loop:
    store = Store(folder, durable=False)
    return Loop(make_config(2), store, SEEDS, RenamingSynthesis())


def train(adapter: SimpleNamespace, source: Any, args: SimpleNamespace, rollouts: range) -> None:
    """What slime does: sample, generate (here: random rewards), process all samples, save."""
    for rollout_id in rollouts:
        samples = source.get_samples(args.rollout_batch_size)
        tasks = [Task.model_validate(group[0].metadata["task"]) for group in samples]
        for group, found in zip(samples, play(tasks, rollout_id + 1), strict=True):
            for sample, reward in zip(group, found.rewards, strict=True):
                sample.reward = reward
                lost = pretended_slime.Sample.Status.FAILED
                sample.status = (
                    pretended_slime.Sample.Status.COMPLETED if reward is not None else lost
                )
        adapter.observe(args, samples, source)
        source.save(rollout_id)


def test_slime_resumes_where_its_checkpoint_was(slime: SimpleNamespace, tmp_path: Path) -> None:
    whole_args, args = (SimpleNamespace(**ARGS, save=name) for name in ("whole", "broken"))
    whole = slime.RodsDataSource(whole_args)
    train(slime, whole, whole_args, range(12))
    source = slime.RodsDataSource(args)
    assert len(source) == source.loop.config.pool.seeds
    train(slime, source, args, range(8))
    source.loop.store.close()
    source = slime.RodsDataSource(args)
    source.load(4)  # the trainer's checkpoint is older than the store
    assert source.loop.step == 5
    train(slime, source, args, range(5, 12))
    assert any(event.kind == "injected" for event in source.loop.store.events())
    assert content(source.loop.store) == content(whole.loop.store)
    for each in (source, whole):
        each.loop.store.close()


def test_slime_with_other_sizes_is_refused(slime: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match=r"must be \(2, 2\)"):
        slime.RodsDataSource(SimpleNamespace(**{**ARGS, "n_samples_per_prompt": 8}, save="run"))


def test_slime_gives_nothing_back(slime: SimpleNamespace) -> None:
    source = slime.RodsDataSource(SimpleNamespace(**ARGS, save="run"))
    source.add_samples([])
    with pytest.raises(RuntimeError, match="the loop needs all groups"):
        source.add_samples([[pretended_slime.Sample()]])
    source.loop.store.close()


SMALL = ("rollout.tasks_per_step=2", "rollout.group_size=4", "optimizer.microbatch=8")
TORCH = (*SMALL, "pool.seeds=4", "boundary.rule=random", "stages=[{reward: progress}]")


@pytest.mark.slow
def test_the_plain_torch_loop_learns_and_resumes(tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "trainer"}
    exec(compile(block("Plain torch"), "docs/trainers.md", "exec"), names)
    whole = names["train"](tmp_path / "whole", 5, "tiny", *TORCH)
    names["train"](tmp_path / "broken", 3, "tiny", *TORCH).store.close()
    loop = names["train"](tmp_path / "broken", 5, "tiny", *TORCH)
    assert loop.step == 5
    assert any(event.kind == "injected" for event in loop.store.events())
    assert content(loop.store) == content(whole.store)
    weights = [torch.load(tmp_path / name / "checkpoint.pt") for name in ("whole", "broken")]
    for name, weight in weights[0]["model"].items():
        assert torch.equal(weight, weights[1]["model"][name]), name
    for each in (loop, whole):
        each.store.close()
