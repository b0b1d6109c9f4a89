"""A run on verl that was killed and continued ends like one that was not."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from cluster_runs import (
    STEPS,
    drive,
    history,
    kill_in_step,
    started,
    stored,
    until_step,
)

pytestmark = pytest.mark.cluster
KILLS = (2, 5, 8)
"""Steps: before the first checkpoint, one step after a checkpoint, and in the last step."""


def weights(folder: Path, rank: int) -> dict[str, Any]:
    name = f"checkpoints/global_step_{STEPS}/actor/model_world_size_2_rank_{rank}.pt"
    found = torch.load(folder / name, weights_only=False)
    return {key: getattr(value, "_local_tensor", value) for key, value in found.items()}


def test_a_run_that_was_killed_three_times_ends_like_one_that_was_not(
    run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    for step in KILLS:
        kill_in_step(folder, step)
    done = drive(folder)
    assert done.returncode == 0, done.stdout[-8000:]
    assert history(folder) == history(run)
    for rank in (0, 1):
        there, here = weights(run, rank), weights(folder, rank)
        assert there.keys() == here.keys()
        for key, value in there.items():
            assert torch.equal(value, here[key]), key


def test_a_run_that_was_stopped_saves_its_step(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with started(folder) as process:
        until_step(process, folder, 1)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 130, out[-4000:]
    (saved,) = (folder / "checkpoints").glob("global_step_*/complete")
    with stored(folder) as store:
        step = store.last_step()
    assert saved.parent.name == f"global_step_{step}"
    assert not (folder / "stop").exists()
    assert step < STEPS and drive(folder).returncode == 0
    assert history(folder) == history(run)
