"""A run on verl that was killed and continued ends like one that was not."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cluster_runs import (
    STEPS,
    TASKS,
    drive,
    ended,
    history,
    last_line,
    playing,
    processes,
    started,
    stored,
    stored_step,
    until,
)
from replica_files import release

from rods.trainers.verl.stopping import FILE as STOP

pytestmark = pytest.mark.cluster
INTERRUPTED = 130  # the code of drive.py


def weights(folder: Path, rank: int) -> dict[str, Any]:
    name = f"checkpoints/global_step_{STEPS}/actor/model_world_size_2_rank_{rank}.pt"
    found = torch.load(folder / name, weights_only=False)
    return {key: getattr(value, "_local_tensor", value) for key, value in found.items()}


def kill_when(folder: Path, reached: Callable[[], bool], fault: str) -> None:
    """Begin or continue a run, and kill all of its processes at a moment.

    Args:
        fault: keeps the run from going on behind that moment.
    """
    with started(folder, RODS_CLUSTER_FAULT=fault) as process:
        until(process, folder, reached)


def fail(folder: Path, fault: str, message: str) -> None:
    """Continue a run until a fault ends it with one line."""
    done = drive(folder, RODS_CLUSTER_FAULT=fault)
    check_ended(done.returncode, done.stdout, message)


def check_ended(code: int, output: str, message: str) -> None:
    assert code == 2, output[-4000:]
    assert re.search(message, last_line(output)), output[-4000:]


def lose_players(folder: Path, step: int) -> None:
    """Continue a run until all tasks of a step are played, and kill the processes that play."""
    with started(folder, RODS_CLUSTER_FAULT=f"holds {step}") as process:
        until(process, folder, playing(folder, step, TASKS))
        for pid in processes(process, "AgentLoopWorker"):
            os.kill(pid, signal.SIGKILL)
        done = ended(process, folder)
    check_ended(done.returncode, done.stdout, "a process that plays episodes has died")


def stop(folder: Path, step: int) -> None:
    """Continue a run until a step is played, and stop it by a signal."""
    with started(folder, RODS_CLUSTER_FAULT=f"holds {step}") as process:
        until(process, folder, playing(folder, step))
        process.send_signal(signal.SIGTERM)
        until(process, folder, (folder / STOP).exists)
        release(folder)
        done = ended(process, folder)
    assert done.returncode == INTERRUPTED, done.stdout[-4000:]
    assert not (folder / STOP).exists()
    assert _complete(folder)[-1] == step == _last_step(folder)


def _complete(folder: Path) -> list[int]:
    """The steps of the complete checkpoints."""
    found = (folder / "checkpoints").glob("global_step_*/complete")
    return sorted(int(mark.parent.name.rpartition("_")[2]) for mark in found)


def _last_step(folder: Path) -> int:
    with stored(folder) as store:
        return store.last_step()


def test_a_run_that_everything_happened_to_ends_like_one_without_trouble(
    run: Path, tmp_path: Path
) -> None:
    """Checkpoints are made after steps 2, 4, 6 and 8."""
    folder = tmp_path / "run"
    # Three moments: rollouts are played; a checkpoint is written; the store is a step ahead of the
    # weights.
    kill_when(folder, playing(folder, 2), "holds 2")
    assert not _complete(folder)
    fail(folder, "dies 3", "a process of the run has died .*scripted_server")
    assert _last_step(folder) == 2
    kill_when(folder, (folder / "checkpoints" / "global_step_4").exists, "tears 4")
    assert _complete(folder) == [2]
    fail(folder, "raises 5", "step 5: .* rollouts failed: .*the script is torn")
    assert _last_step(folder) == 4
    lose_players(folder, 5)
    kill_when(folder, stored_step(folder, 7), "holds 8")
    assert _complete(folder)[-1] == 6
    stop(folder, 7)
    done = drive(folder)
    assert done.returncode == 0, done.stdout[-8000:]
    assert history(folder) == history(run)
    for rank in (0, 1):
        there, here = weights(run, rank), weights(folder, rank)
        assert there.keys() == here.keys()
        for key, value in there.items():
            assert torch.equal(value, here[key]), key
