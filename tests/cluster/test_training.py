"""verl's real trainer with our loop: two processes train, two servers sample, the pool grows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from cluster_runs import STEPS, logged, stored

from rods.envs.bfcl_data import benchmark_tasks

pytestmark = pytest.mark.cluster


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


def test_the_tools_of_the_benchmark_are_called_and_its_users_go_on(run: Path) -> None:
    with stored(run) as store:
        played = store.episodes()
        tasks = store.tasks([*played])
    assert {task.source for task in tasks.values() if not task.synthetic} <= {*benchmark_tasks()}
    whole = [tasks[i] for i, (_, progress, *_) in played.items() if progress == 1]
    assert whole
    for task in whole:
        *_, lines = played[task.id]
        said = Counter(kind for kind, *_ in lines)
        assert said["verdict"] == len(task.turns) > 1
        assert said["user"] == sum(bool(turn.user) for turn in task.turns)
        assert said["tool"]


def test_the_boundary_chooses_parents_and_variants_are_played(run: Path) -> None:
    with stored(run) as store:
        events, groups = store.events(), store.groups()
        tasks = store.tasks([g.task_id for g in groups])
    kinds = Counter(event.kind for event in events)
    assert kinds["injected"] and kinds["retired"], kinds
    means = {(g.step, g.task_id): g.mean for g in groups if not g.constant}
    chosen = [(event.step, event.task_id) for event in events if event.kind == "chosen"]
    assert all(0 < means[place] < 1 for place in chosen)
    parents = {event.reason for event in events if event.kind == "injected"}
    assert parents <= {task_id for _, task_id in chosen}
    played = [task for task in tasks.values() if task.synthetic]
    assert played and all(task.parent in parents for task in played)


def test_metrics_and_summary_are_written(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [*range(1, STEPS + 1)]
    assert all(line["loss"] is not None and line["grad_norm"] is not None for line in lines)
    assert json.loads((run / "summary.json").read_text())["steps"] == STEPS


def test_verl_s_trackers_have_our_values_and_see_the_trainer_s_tokens(run: Path) -> None:
    """The probabilities are of the same tokens in the servers and in the trainer."""
    found = logged(run)
    assert [*found] == [*range(1, STEPS + 1)]
    for values in found.values():
        assert values["rods/pool/active"] >= 8
        assert "rods/progress" in values
        assert values["training/rollout_probs_diff_max"] < 1e-4
    assert found[STEPS]["rods/funnel/tried"] > 0


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
