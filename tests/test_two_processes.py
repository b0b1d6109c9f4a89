"""Training in two processes gives the weights of training in one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import one_of_several as program

TIME = 300  # seconds after which a process that waits for the other is ended


def together(file: Path) -> list[list[dict[str, torch.Tensor]]]:
    """The weights in both processes, by case."""
    command = [sys.executable, program.__file__, str(file)]
    jobs = [
        subprocess.Popen(
            command,
            env={
                **os.environ,
                "WORLD_SIZE": "2",
                "RANK": rank,
                "LOCAL_RANK": rank,
                "LOCAL_WORLD_SIZE": "2",
                "OMP_NUM_THREADS": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in "01"
    ]
    try:
        said = [job.communicate(timeout=TIME)[0] for job in jobs]
    finally:
        for job in jobs:
            job.kill()
    assert [job.returncode for job in jobs] == [0, 0], "\n".join(said)[-3000:]
    return [torch.load(f"{file}.{rank}") for rank in "01"]


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    for case, first, second in zip(program.CASES, *together(tmp_path / "weights"), strict=True):
        alone, before = program.trained(*case, tmp_path), program.model(case[0]).state_dict()
        assert any(not torch.equal(alone[name], before[name]) for name in alone)
        for name, weight in alone.items():
            assert torch.equal(first[name], second[name]), name
            torch.testing.assert_close(first[name], weight, atol=1e-5, rtol=1e-4)
