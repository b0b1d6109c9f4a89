"""verl's real trainer with our loop: two processes train, two servers sample, the pool grows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from cluster_runs import STEPS, stored
from drive import settings
from script import Script

from rods.config import Config
from rods.policies.causal_model import load_writer
from rods.policies.model import settings_of
from rods.rollout.policy import Generation, Sampling
from rods.rollout.synchronous import run_coroutine
from rods.trainers.verl.player import Player
from rods.trainers.verl.row import Order

pytestmark = pytest.mark.cluster
SEED = 0


def test_every_group_of_every_epoch_is_seen_once(run: Path) -> None:
    with stored(run) as store:
        groups = store.groups()
        drawn = store.db.read("SELECT epoch, task_ids FROM epochs ORDER BY epoch")
    assert [group.step for group in groups] == sorted(
        s for s in range(1, STEPS + 1) for _ in "1234"
    )
    assert all(group.complete for group in groups)
    epochs = {epoch: json.loads(ids) for epoch, ids in drawn}
    seen = {e: [g.task_id for g in groups if g.epoch == e] for e in epochs}
    assert len(epochs) >= 3
    for epoch, ids in epochs.items():
        most = len(ids) // 4 * 4
        assert Counter(seen[epoch]) == Counter(ids[:most]) or epoch == max(epochs)


class Said:
    """The script as a policy in this process."""

    def __init__(self, script: Script, name: str) -> None:
        self.script, self.name = script, name

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        made = self.script.action(self.name, list(ids))[: sampling.max_tokens]
        return Generation(made, [0.0] * len(made))


@pytest.mark.parametrize("step", [1, STEPS])
def test_the_rewards_are_those_of_the_same_episodes_in_one_process(run: Path, step: int) -> None:
    with stored(run) as store:
        groups = [group for group in store.groups() if group.step == step]
        tasks = store.tasks([group.task_id for group in groups])
    config = Config.model_validate(settings(run.parent / "model", STEPS))
    player = Player(config)
    script = Script(load_writer(settings_of(config))[0], run)
    for place, group in enumerate(groups):
        order = Order(tasks[group.task_id], place, step, "progress", False)
        script.give(step, place, order.task)
        named = [Said(script, f"{SEED}-{step}-{place}-{k}-0") for k in range(4)]
        played = [run_coroutine(partial(player.play, order, policy)) for policy in named]
        assert [rollout.progress for rollout in played] == list(group.rewards)


def test_the_boundary_chooses_parents_and_variants_are_played(run: Path) -> None:
    with stored(run) as store:
        events, groups = store.events(), store.groups()
        tasks = store.tasks([g.task_id for g in groups])
    kinds = Counter(event.kind for event in events)
    assert kinds["injected"] and kinds["retired"], kinds
    played = [task for task in tasks.values() if task.synthetic]
    assert played and all(task.parent for task in played)


def test_metrics_and_summary_are_written(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [*range(1, STEPS + 1)]
    assert all(line["loss"] is not None and line["grad_norm"] is not None for line in lines)
    assert json.loads((run / "summary.json").read_text())["steps"] == STEPS


def test_held_out_tasks_are_measured_by_the_servers(run: Path) -> None:
    with stored(run) as store:
        found = store.measures.heldout()
    assert {(row.side, row.step) for row in found} >= {
        ("test", 0), ("test", STEPS), ("validation", 0), ("validation", 2), ("validation", STEPS),
    }  # fmt: skip
    assert all(0 <= row.progress < 1 for row in found)  # the script does not know them


def test_only_the_latest_checkpoints_are_kept(run: Path) -> None:
    found = sorted(p.name for p in (run / "checkpoints").glob("global_step_*"))
    assert found == ["global_step_6", "global_step_8"]
    assert not list((run / "checkpoints").rglob("data.pt"))
