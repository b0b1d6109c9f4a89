"""The trainer with a model of the user's own: one behind peft's adapters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from doubles import SEEDS, make_config
from grpo import WORDS, ParityRenderer, lora, micro
from rods.loop import Loop
from rods.micro.sampler import MicroSampler
from rods.policies.registry import LoadedPolicy
from rods.processes import Stopper
from rods.rollout.episode import Ending
from rods.rollout.messages import Conversation
from rods.rollout.rollout import Rollout
from rods.store.store import Store
from rods.task import Task
from rods.trainers.checkpoints import checkpoint_step, latest_checkpoint
from rods.trainers.trl import TrlTrainer

STEPS = 4
CONFIG = make_config(steps=STEPS, arm="static", checkpoint_steps=2)


class Sampled:
    """A policy that samples through the adapters, in the model that they were put into."""

    def __init__(self, model: Any) -> None:
        self.sampler, self.rng = MicroSampler(model, 0, [], 8, 64), torch.Generator()

    def seeded(self, seed: int, version: int) -> Sampled:
        self.rng.manual_seed(seed)
        return self

    def sample(self, prompts: list[list[int]]) -> list[tuple[list[int], list[float]]]:
        self.sampler.start(len(prompts))
        return self.sampler.generate(prompts, 5, 1.0, self.rng)


class OneAction:
    """A runner whose episodes are one action, and whose rewards say how much of it is even."""

    def run(self, tasks: Sequence[Task], policy: Any) -> list[Rollout]:
        prompt = [2, 3, 4]
        made = policy.sample([prompt] * len(tasks))
        return [
            Rollout(
                task_id=task.id,
                prompt_ids=prompt,
                completion_ids=[*ids, 5],
                mask=[1] * len(ids) + [0],
                logprobs=[*logprobs, 0.0],
                progress=sum(token % 2 == 0 for token in ids) / len(ids),
                complete=False,
                format=1.0,
                turns=[False],
                ending=Ending.ANSWERED,
                conversation=Conversation(()),
                refusals={},
            )
            for task, (ids, logprobs) in zip(tasks, made, strict=True)
        ]


def trainer_of(folder: Path, stopper: Stopper | None = None, stop: int = 0) -> tuple[Any, Any]:
    """The trainer of a run in this folder, as far as it has come, and its model."""
    inner = micro()
    wrapped = lora(inner, "qkv", "out")
    checkpoint = latest_checkpoint(folder)
    step = checkpoint_step(checkpoint) if checkpoint else 0

    def on_step(step: int, *_: Any) -> None:
        if stopper is not None and step == stop:
            stopper.number = 2

    made = TrlTrainer(
        CONFIG,
        Loop(CONFIG, Store(folder), SEEDS, step=step),
        OneAction(),
        LoadedPolicy(
            ParityRenderer(), wrapped, WORDS.to_transformers("<end>"), Sampled(inner).seeded
        ),
        folder,
        on_step,
        lambda step: None,
        stopper,
    )
    return made, wrapped


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def test_only_the_adapters_learn(tmp_path: Path) -> None:
    made, model = trainer_of(tmp_path)
    before = weights(model)
    made.train()
    assert made.finished
    changed = {name for name, weight in weights(model).items() if not weight.equal(before[name])}
    adapters = {name for name in before if "lora_" in name}
    assert changed == adapters
    assert len(adapters) == 2 * 2 * 2, "A and B at two modules of two layers"


def test_an_interrupted_run_with_adapters_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole, expected = trainer_of(tmp_path / "whole")
    whole.train()
    first, _ = trainer_of(tmp_path / "broken", Stopper(), stop=1)
    first.train()
    first.loop.store.close()
    assert not first.finished
    second, model = trainer_of(tmp_path / "broken")
    assert second.loop.step == 2
    second.train()
    assert second.finished
    found = weights(model)
    assert all(weight.equal(found[name]) for name, weight in weights(expected).items())
