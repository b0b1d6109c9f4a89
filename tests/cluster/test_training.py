"""verl's real trainer with our loop: two processes train, two servers sample, the pool grows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean

import pytest
from script import right

from rods.group import Group
from rods.store.store import Store
from rods.task import Task

pytestmark = pytest.mark.cluster
HERE = Path(__file__).parent
STEPS, SEED = 8, 0
MINUTES = 10


@contextmanager
def stored(folder: Path) -> Iterator[Store]:
    store = Store(folder, role="reader")
    try:
        yield store
    finally:
        store.close()


def drive(folder: Path, steps: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / "drive.py"), str(folder), str(steps)]
    return subprocess.run(command, capture_output=True, text=True, timeout=MINUTES * 60)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cluster") / "run"
    done = drive(folder, STEPS)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder


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


def test_the_rewards_are_those_of_the_script(run: Path) -> None:
    """So the calls were made, the turns were judged, and the floats came through unchanged."""
    with stored(run) as store:
        groups, tasks = store.groups(), store.tasks([g.task_id for g in store.groups()])
    for place, group in enumerate(groups):
        assert list(group.rewards) == expected(group, tasks[group.task_id], place % 4)


def expected(group: Group, task: Task, place: int) -> list[float]:
    """The progress of the script's rollouts, each of whose turns is judged alone."""
    found = []
    for session in range(4):
        name = f"{SEED}-{group.step}-{place}-{session}-0"
        turns = enumerate(task.turns)
        passed = [not t.ground_truth or right(name, task.id, n) for n, t in turns]
        found.append(fmean(passed))
    return found


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


def test_only_the_latest_checkpoints_are_kept(run: Path) -> None:
    found = sorted(p.name for p in (run / "checkpoints").glob("global_step_*"))
    assert found == ["global_step_6", "global_step_8"]
    assert not list((run / "checkpoints").rglob("data.pt"))
