"""verl's real trainer with our loop: two processes train, two servers sample, the pool grows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from cluster_runs import STEPS, stored

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
