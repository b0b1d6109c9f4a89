"""A Ray cluster of two nodes, each with one GPU and its own raylet, on one machine."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_runs import TASKS, drive, history, stored
from drive import RANKS, variables
from ray.cluster_utils import Cluster
from tiny_model import save_model

pytestmark = pytest.mark.cluster
MEMORY = 500_000_000  # bytes of a node's object store
STEPS = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nodes") / "run"


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Cluster]:
    """Its processes have the variables of the run, as if each machine had them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**variables(folder), "RODS_CLUSTER_FAULT": "loses 1"}.items():
            patch.setenv(name, value)
        found = Cluster()
        for _ in range(RANKS):
            found.add_node(num_cpus=12, num_gpus=1, object_store_memory=MEMORY)
        yield found
        found.shutdown()


@pytest.fixture(scope="module")
def lossy(folder: Path, cluster: Cluster) -> Path:
    """The folder of a finished run on the two nodes, which lost a rollout of its first step."""
    done = drive(folder, STEPS, RODS_CLUSTER_RAY=cluster.address)
    assert done.returncode == 0, done.stdout[-8000:]
    return folder


def test_two_nodes_train_as_one_does(run: Path, lossy: Path) -> None:
    there, here = history(run)["groups"], history(lossy)["groups"]
    assert len(here) == TASKS * STEPS
    assert here[1:] == there[1 : len(here)]
    first, _, *others = there[0].rewards
    assert (here[0].task_id, here[0].rewards) == (there[0].task_id, (first, *others))


def test_a_rollout_that_the_environment_lost_leaves_its_group(lossy: Path) -> None:
    with stored(lossy) as store:
        groups = store.groups()
        lines = store.measures.metrics()
    assert [len(group.rewards) for group in groups] == [3, 4, 4, 4, 4, 4, 4, 4]
    assert not groups[0].complete
    assert list(lines[0]["failures"].values()) == ["lost by the test"]
    assert all(math.isfinite(line["loss"]) for line in lines)


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
