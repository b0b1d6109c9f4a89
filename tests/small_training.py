"""The real trainer over a very small model, with rollouts that were said beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from doubles import make_config
from fragile import Fragile
from replay import Ids, Replay
from rods.loop import Loop
from rods.micro.model import MicroForCausalLM, MicroModelConfig
from rods.policies.registry import LoadedPolicy
from rods.rollout.runner import Runner
from rods.store.store import Store
from rods.task import Task
from rods.trainers.trl import TrlTrainer

if TYPE_CHECKING:
    from rods.rollout.rollout import Rollout


class Harness:
    """A training whose K rollouts of every task are those of `scripts`.

    Attributes:
        advantages: of each row that the loss was computed for, with its task's place.
        rollouts: of each step.
    """

    def __init__(
        self,
        tools: Fragile,
        tasks: Sequence[Task],
        scripts: Sequence[Sequence[Ids]],
        folder: Path,
        *,
        steps: int = 1,
        wrap: Callable[[Any], Any] = lambda model: model,
        **sections: Any,
    ) -> None:
        size, per_step = len(scripts), sections.pop("tasks_per_step", len(tasks))
        self.config = make_config(
            per_step,
            rollout={"group_size": size, "tasks_per_step": per_step, "temperature": 1.0}
            | sections.pop("rollout", {}),
            optimizer={"microbatch": size * per_step, "learning_rate": 1e-2, "warmup_steps": 0}
            | sections.pop("optimizer", {}),
            steps=steps,
            checkpoint_steps=100,
            **sections,
        )
        self.store = Store(folder, durable=False)
        self.loop = Loop(self.config, self.store, tasks)
        words = tools.renderer.tokenizer
        torch.manual_seed(0)
        micro = MicroModelConfig(vocab_size=len(words), width=16, layers=2, heads=2, context=128)
        self.model = wrap(MicroForCausalLM(micro))
        self.rollouts: list[Sequence[Rollout]] = []
        self.advantages: list[torch.Tensor] = []
        self.runner = Runner(tools.env, tools.renderer)
        self.trainer = TrlTrainer(
            self.config,
            self.loop,
            self.runner,
            LoadedPolicy(
                tools.renderer,
                self.model,
                words.to_transformers(tools.renderer.eos),
                lambda seed, version: Replay([*scripts] * per_step),
            ),
            folder,
            lambda step, rollouts, logs, seconds: self.rollouts.append(rollouts),
            lambda epoch, step: None,
        )
        trainer, loss = self.trainer._trainer, self.trainer._trainer._compute_loss

        def watched(model: Any, inputs: dict[str, Any]) -> Any:
            self.advantages.append(inputs["advantages"].clone())
            return loss(model, inputs)

        trainer._compute_loss = watched

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy."""
        return {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def train(self) -> set[str]:
        """Train to the last step; the names of the parameters that changed."""
        before = self.weights()
        self.trainer.train()
        return {name for name, p in self.weights().items() if not torch.equal(p, before[name])}
