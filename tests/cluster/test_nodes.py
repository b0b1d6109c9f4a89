"""A Ray cluster of two nodes, each with one GPU and its own raylet, on one machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_runs import drive, history
from drive import RANKS, variables
from ray.cluster_utils import Cluster
from tiny_model import save_model

pytestmark = pytest.mark.cluster
MEMORY = 500_000_000  # bytes of a node's object store
STEPS = 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Its processes have the variables of the run, as if each machine had them."""
    for name, value in variables(folder).items():
        monkeypatch.setenv(name, value)
    found = Cluster()
    for _ in range(RANKS):
        found.add_node(num_cpus=12, num_gpus=1, object_store_memory=MEMORY)
    yield found
    found.shutdown()


def test_two_nodes_train_as_one_does(run: Path, folder: Path, cluster: Cluster) -> None:
    done = drive(folder, STEPS, RODS_CLUSTER_RAY=cluster.address)
    assert done.returncode == 0, done.stdout[-8000:]
    there, here = history(run), history(folder)
    assert here["groups"] == there["groups"][: len(here["groups"])]
    assert len(here["groups"]) == 4 * STEPS


def test_without_an_address_the_run_has_a_ray_of_its_own(tmp_path: Path, cluster: Cluster) -> None:
    """By the command itself: a preset of eight GPUs is refused, and no other cluster is joined."""
    save_model(tmp_path / "model")
    command = [sys.executable, "-m", "rods", "train", "--engine", "verl", "--preset", "qwen3-4b"]
    options = ["--run", str(tmp_path / "run"), "--set", f"policy.model={tmp_path / 'model'}"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr[-4000:]
    last = done.stderr.splitlines()[-1]
    assert last == "rods: hardware.gpus: the run trains on 8 GPUs, and Ray has 0 on 1 nodes"
    assert not (tmp_path / "run").exists()
