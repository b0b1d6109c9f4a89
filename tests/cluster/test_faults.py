"""What goes wrong on a cluster ends a run with one line, and the run can be continued."""

from __future__ import annotations

import math
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster_runs import drive, processes, started, stored

from rods.errors import UserError
from rods.store.store import Store
from rods.trainers.verl import launch
from rods.trainers.verl.driver import the_driver
from rods.trainers.verl.row import NOTHING, TRAIN
from rods.trainers.verl.tasks import StepTasks

pytestmark = pytest.mark.cluster


def last_line(text: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("dies 3", "a process of the run has died .*scripted_server"),
        ("raises 3", "step 3: .* rollouts failed: .*the script is torn"),
    ],
)
def test_a_failed_server_is_named_and_the_run_can_be_continued(
    tmp_path: Path, fault: str, message: str
) -> None:
    folder = tmp_path / "run"
    done = drive(folder, 3, RODS_CLUSTER_FAULT=fault)
    assert done.returncode == 2, done.stdout[-4000:]
    assert re.search(message, last_line(done.stdout)), done.stdout[-4000:]
    with stored(folder) as store:
        assert store.last_step() == 2
    if fault.startswith("dies"):
        assert drive(folder, 3).returncode == 0


def test_a_rollout_that_the_environment_lost_leaves_its_group(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = drive(folder, 2, RODS_CLUSTER_FAULT="loses 1")
    assert done.returncode == 0, done.stdout[-4000:]
    with stored(folder) as store:
        groups = store.groups()
        lines = store.measures.metrics()
    assert [len(group.rewards) for group in groups] == [3, 4, 4, 4, 4, 4, 4, 4]
    assert not groups[0].complete
    assert list(lines[0]["failures"].values()) == ["lost by the test"]
    assert all(math.isfinite(line["loss"]) for line in lines)


def test_a_dead_player_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with started(folder, 3, RODS_CLUSTER_FAULT="hangs 2") as process:
        _until(lambda: (folder / "metrics.jsonl").exists() and _lines(folder) >= 1)
        time.sleep(15)  # the second step is played
        for pid in processes(process, "AgentLoopWorker"):
            os.kill(pid, signal.SIGKILL)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 2, out[-4000:]
    assert "a process that plays episodes has died" in last_line(out)


def test_two_drivers_on_one_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    store = Store(folder)
    try:
        done = drive(folder, 3)
    finally:
        store.close()
    assert done.returncode == 2, done.stdout[-4000:]
    assert str(folder) in last_line(done.stdout)


def _lines(folder: Path) -> int:
    return len((folder / "metrics.jsonl").read_text().splitlines())


def _until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_second_copy_of_the_pool_is_refused() -> None:
    with pytest.raises(UserError, match="only the driver"):
        StepTasks(TRAIN)
    with pytest.raises(UserError, match="only the driver"):
        the_driver()
    assert len(StepTasks(NOTHING)) == 0


def test_another_host_is_refused() -> None:
    with pytest.raises(UserError, match="start the run on the machine"):
        launch.check_host("elsewhere")


def test_another_version_of_verl_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "installed", lambda name: "0.10.0")
    with pytest.raises(UserError, match=r"verl 0\.10\.0 was not tried"):
        launch.check_installed()


def test_trl_in_the_same_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "find_spec", lambda name: name == "trl" or None)
    with pytest.raises(UserError, match="pip uninstall trl"):
        launch.check_installed()


def test_a_cluster_without_gpus_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0})
    monkeypatch.setattr(ray, "nodes", lambda: [{}])
    with pytest.raises(UserError, match="trains on 8 GPUs, and Ray has 0 on 1 nodes"):
        launch.check_gpus(8)
