"""What goes wrong on a cluster ends a run with one line, and the run can be continued."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from cluster_runs import drive, last_line
from omegaconf import OmegaConf

from rods.errors import UserError
from rods.store.store import Store
from rods.trainers.verl import launch
from rods.trainers.verl.driver import the_driver
from rods.trainers.verl.row import NOTHING, TRAIN
from rods.trainers.verl.stopping import FILE as STOP
from rods.trainers.verl.tasks import StepTasks

pytestmark = pytest.mark.cluster


def test_two_drivers_on_one_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    store = Store(folder)
    (folder / STOP).touch()
    try:
        done = drive(folder, 3)
    finally:
        store.close()
    assert done.returncode == 2, done.stdout[-4000:]
    assert f"{folder}: another trainer is at work here" in last_line(done.stdout)
    assert (folder / STOP).exists(), "the run that goes on was asked to stop"


def test_a_second_copy_of_the_pool_is_refused() -> None:
    with pytest.raises(UserError, match="only the driver"):
        StepTasks(TRAIN)
    with pytest.raises(UserError, match="only the driver"):
        the_driver()
    assert len(StepTasks(NOTHING)) == 0


def test_a_driver_on_another_machine_is_refused() -> None:
    ran: list[Any] = []

    class Runner:
        def run(self, config: Any) -> None:
            ran.append(config)

    with pytest.raises(UserError, match="the run folder is on elsewhere; start the run on"):
        launch.runner_class(Runner)().run(OmegaConf.create({"rods": {"host": "elsewhere"}}))
    assert not ran


def test_another_version_of_verl_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "installed", lambda name: "0.10.0")
    with pytest.raises(UserError, match=r"verl 0\.10\.0 was not tried"):
        launch.check_installed()


def test_trl_in_the_same_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "find_spec", lambda name: name == "trl" or None)
    with pytest.raises(UserError, match="pip uninstall trl"):
        launch.check_installed()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "[::1]:1", "a:99999"])
def test_a_cluster_that_cannot_be_reached_is_named(address: str) -> None:
    with pytest.raises(UserError, match=rf"Ray {re.escape(address)}: cannot be reached \("):
        launch.check_reachable(address)
