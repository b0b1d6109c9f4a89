"""Chat models play real tasks, and are trained on their own tokens only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2Config
from transformers.models.qwen2 import Qwen2ForCausalLM

from grpo import SIZES, assert_equal_gradients, gradients, trainer
from rendering import play, renderer_of
from replay import Replay
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import CATEGORIES, benchmark_tasks
from rods.renderers.families import FAMILIES
from rods.rollout.rollout import Rollout
from rods.rollout.runner import Runner
from rods.trainers.signal_trainer import SignalTrainer

MOST = 1500  # tokens of a rollout; others have a page of text


@pytest.mark.parametrize("dialect", ["native", "envtuning", "prompt"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_right_calls_solve_tasks_of_the_benchmark(family: str, dialect: str) -> None:
    renderer = renderer_of(family, dialect=dialect, tool_docs="short")
    tasks = [t for name, t in benchmark_tasks().items() if name.endswith(("_4", "_150"))]
    assert {task.category for task in tasks} == set(CATEGORIES)
    scripts = [
        [
            renderer.write(calls)
            for turn in task.turns
            for calls in ([turn.ground_truth, ()] if turn.ground_truth else [()])
        ]
        for task in tasks
    ]
    runner = Runner(BfclEnvironment(), renderer, token_budget=10**6)
    rollouts = runner.run(tasks, Replay(scripts))
    assert all(rollout.complete for rollout in rollouts)
    for task, rollout, script in zip(tasks, rollouts, scripts, strict=True):
        own = [i for i, m in zip(rollout.completion_ids, rollout.mask, strict=True) if m]
        assert own == [i for action in script for i in action]
        text = renderer.tokenizer.decode(rollout.completion_ids)
        assert all(f'"name": "{name}"' in text for name in task.withheld)


class TwoLabels(Qwen2ForCausalLM):
    """Each token has two ids, which are the same as input and different as a label."""

    def forward(self, input_ids: Any = None, **rest: Any) -> Any:
        return super().forward(input_ids=input_ids % (self.config.vocab_size // 2), **rest)


def padded(rows: list[list[int]], left: bool = False) -> torch.Tensor:
    width = max(map(len, rows))
    filled = [[0] * (width - len(r)) + r if left else r + [0] * (width - len(r)) for r in rows]
    return torch.tensor(filled)


def batch_of(rollouts: list[Rollout]) -> tuple[dict[str, Any], int]:
    """The rollouts as a trainer gets them, with few ids, and the number of ids."""
    used = sorted({i for r in rollouts for i in (*r.prompt_ids, *r.completion_ids)})
    few = {i: number for number, i in enumerate(used)}
    prompts = [[few[i] for i in r.prompt_ids] for r in rollouts]
    completions = [[few[i] for i in r.completion_ids] for r in rollouts]
    batch: dict[str, Any] = {
        "prompt_ids": padded(prompts, left=True),
        "prompt_mask": padded([[1] * len(ids) for ids in prompts], left=True),
        "completion_ids": padded(completions),
        "completion_mask": padded([[1] * len(ids) for ids in completions]),
        "tool_mask": padded([r.mask for r in rollouts]),
        "advantages": torch.linspace(-1, 1, len(rollouts)),
    }
    return {**batch, "num_items_in_batch": batch["tool_mask"].sum()}, len(used)


def test_labels_of_the_environment_change_no_gradient(tmp_path: Path) -> None:
    rollouts, _ = play(renderer_of("qwen2.5"), seed=3, episodes=10)
    chosen = [r for r in rollouts if len(r.prompt_ids + r.completion_ids) < MOST][:4]
    batch, size = batch_of(chosen)
    torch.manual_seed(0)
    sizes = {**SIZES, "vocab_size": 2 * size, "max_position_embeddings": MOST}
    made = trainer(SignalTrainer, tmp_path, TwoLabels(Qwen2Config(**sizes)))
    plain = gradients(made, batch)
    own = batch["tool_mask"].bool()
    assert own.any() and (~own & batch["completion_mask"].bool()).any()
    relabelled = batch["completion_ids"] + size * ~own
    assert_equal_gradients(plain, gradients(made, {**batch, "completion_ids": relabelled}))
    row, column = own.nonzero()[0]
    relabelled[row, column] += size
    changed = gradients(made, {**batch, "completion_ids": relabelled})
    assert any(not torch.allclose(plain[name], changed[name]) for name in plain)
