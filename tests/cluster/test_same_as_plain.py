"""A run on verl has the history of the loop that is driven by four calls in one process.

So the calls were made, the turns were judged, the rewards came through to the last bit, and the
pool grew by the same events.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from cluster_runs import STEPS, history
from drive import settings
from script import Script

from rods.config import Config
from rods.loop import Loop
from rods.policies.model_tasks import model_tasks
from rods.policies.tasks import choose_seeds, pipeline_of
from rods.rollout.policy import Generation, Sampling
from rods.rollout.rollout import Rollout, group_of
from rods.rollout.synchronous import run_coroutine
from rods.store.store import Store
from rods.trainers.verl.player import Player
from rods.trainers.verl.row import Order

pytestmark = pytest.mark.cluster


class Said:
    """The script as a policy in this process."""

    def __init__(self, script: Script, name: str) -> None:
        self.script, self.name = script, name

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        made = self.script.action(self.name, list(ids))[: sampling.max_tokens]
        return Generation(made, [0.0] * len(made))


def train(config: Config, folder: Path) -> None:
    """The loop without weights: the rewards are those of the script."""
    tasks, store = model_tasks(config, lambda what, share: None), Store(folder)
    script, player = Script(tasks.tokenizer, folder), Player(config)
    loop = Loop(config, store, choose_seeds(tasks.train, config), pipeline_of(config, tasks))
    loop.until = config.steps
    while batch := loop.next_tasks():
        step, groups = loop.step + 1, list[Sequence[Rollout]]()
        for place, task in enumerate(batch):
            script.give(step, place, task)
            order = Order.of(task, place, step, loop.stage)
            names = [f"{config.seed}-{step}-{place}-{k}-0" for k in range(4)]
            plays = [partial(player.play, order, Said(script, name)) for name in names]
            groups.append([run_coroutine(play) for play in plays])
        loop.add_groups([group_of(group, "progress") for group in groups])
    store.close()


def test_the_history_is_that_of_the_plain_loop(run: Path, tmp_path: Path) -> None:
    train(Config.model_validate(settings(run.parent / "model", STEPS)), tmp_path / "plain")
    there, here = history(run), history(tmp_path / "plain")
    assert len(there["groups"]) == 4 * STEPS
    assert there == here
