"""Variants of the benchmark's tasks, made by Ray actors: those that one process makes.

The cluster has three nodes of one CPU, each with its own raylet, on one machine. The last test ends
one of them.
"""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from drive import RAY, settings
from ray.cluster_utils import Cluster
from tiny_model import save_model

from rods.config import Config
from rods.errors import UserError
from rods.group import GroupRewards
from rods.loop import Loop
from rods.policies.model_tasks import ModelTasks, model_tasks
from rods.policies.tasks import choose_seeds, pipeline_of
from rods.store.store import Store
from rods.synthesis.ahead import Executor, Work
from rods.trainers.verl.makers import RayExecutor, RayPending

pytestmark = pytest.mark.cluster
EPOCHS, WORKERS, NODES = 2, 2, 3


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    model = tmp_path_factory.mktemp("model") / "model"
    save_model(model)
    found = settings(model, 100)
    found["pool"] |= {"seeds": 24, "p_max": 100, "beta": 1.0}
    found["boundary"] |= {"quota": 99}
    return Config.model_validate(found)


@pytest.fixture(scope="module")
def tasks(config: Config) -> ModelTasks:
    return model_tasks(config, lambda what, share: None)


@pytest.fixture(scope="module")
def alone(config: Config, tasks: ModelTasks, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(config, tasks, tmp_path_factory.mktemp("alone"), None)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[Cluster]:
    paths = os.pathsep.join(["src", os.environ.get("PYTHONPATH", "")])
    variables = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in RAY.items():
            patch.setenv(name, value)
        found = Cluster()
        for _ in range(NODES):
            found.add_node(num_cpus=1)
        ray.init(found.address, runtime_env={"env_vars": variables})
        yield found
        ray.shutdown()
        found.shutdown()


def run(config: Config, tasks: ModelTasks, folder: Path, executor: Executor | None) -> Any:
    """All that a run with random rewards stores of its synthesis, but not how long it took."""
    store = Store(folder, durable=False)
    seeds = choose_seeds(tasks.train, config)
    loop = Loop(config, store, seeds, pipeline_of(config, tasks), executor=executor)
    for _ in range(EPOCHS):
        while not loop.epoch_done():
            step, groups = loop.step + 1, list[GroupRewards]()
            for task in loop.next_tasks():
                rng = random.Random(f"{step} {task.id}")
                groups.append(GroupRewards(task.id, [rng.choice([0.0, 0.5, 1.0]) for _ in "1234"]))
            loop.add_groups(groups)
        loop.end_epoch()
    found = {
        "events": store.events(),
        "made": [task.model_dump() for task in loop.queue.candidates()],
        "outcomes": store.db.read("SELECT step, task_id, outcome FROM jobs ORDER BY step, task_id"),
        "funnel": store.db.read("SELECT * FROM funnel ORDER BY rowid"),
        "failures": store.db.read("SELECT * FROM failures ORDER BY rowid"),
    }
    if executor is not None:
        assert loop.producer.ahead is not None
        print("taken", loop.producer.ahead.taken, "again", loop.producer.ahead.again)
        assert loop.producer.ahead.taken > loop.producer.ahead.again
    store.close()
    return found


def test_two_actors_make_what_one_process_makes(
    config: Config, tasks: ModelTasks, alone: Any, tmp_path: Path
) -> None:
    executor = RayExecutor(config, WORKERS)
    found = run(config, tasks, tmp_path, executor)
    executor.close()
    assert len(found["made"]) > 20
    assert [task["turns"] for task in found["made"]] == [task["turns"] for task in alone["made"]]
    assert found == alone


class Killing(RayExecutor):
    """Does something to the cluster while all actors have works."""

    submitted = 0

    def __init__(self, config: Config, workers: int, harm: Callable[[RayExecutor], None]) -> None:
        super().__init__(config, workers)
        self.harm = harm

    def submit(self, work: Work) -> RayPending:
        pending = super().submit(work)
        self.submitted += 1
        if self.submitted == 8:
            self.harm(self)
        return pending


def test_a_dead_actor_costs_time_only(
    config: Config, tasks: ModelTasks, alone: Any, tmp_path: Path
) -> None:
    def harm(executor: RayExecutor) -> None:
        os.kill(ray.get(executor.started[0]), signal.SIGKILL)

    executor = Killing(config, WORKERS, harm)
    first = executor.actors[0]
    found = run(config, tasks, tmp_path, executor)
    assert executor.actors[0] is not first
    executor.close()
    assert found == alone


def test_a_cluster_that_starts_no_actor_is_named(config: Config, tasks: ModelTasks) -> None:
    busy = RayExecutor(config, int(ray.cluster_resources()["CPU"]))
    ray.get(busy.started)
    waits = RayExecutor(config, 1)
    waits.patience = 1.0
    try:
        with pytest.raises(UserError, match="is a CPU of the cluster free"):
            waits.submit(Work(tasks.train[0], "1", 0)).result()
    finally:
        waits.close()
        busy.close()


def test_an_actor_without_a_pipeline_is_named(config: Config, tasks: ModelTasks) -> None:
    gone = config.policy.model_copy(update={"model": "/nowhere"})
    executor = RayExecutor(config.model_copy(update={"policy": gone}), 1)
    with pytest.raises(UserError, match=r"a synthesis worker cannot work: .*nowhere"):
        executor.submit(Work(tasks.train[0], "1", 0)).result()
    executor.close()


def parent(pid: int) -> int:
    """The process that started another one; the raylet of its node for an actor."""
    (line,) = re.findall(r"^PPid:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(line)


def busy_node(cluster: Cluster, executor: RayExecutor) -> Any:
    """A node with an actor that is not the one of this process."""
    raylets = {parent(pid) for pid in ray.get(executor.started)}
    nodes = {node.all_processes["raylet"][0].process.pid: node for node in cluster.worker_nodes}
    return nodes[min(raylets & nodes.keys())]


def test_a_dead_node_costs_time_only(
    config: Config, tasks: ModelTasks, alone: Any, tmp_path: Path, cluster: Cluster
) -> None:
    def harm(executor: RayExecutor) -> None:
        cluster.remove_node(busy_node(cluster, executor), allow_graceful=False)

    executor = Killing(config, WORKERS, harm)
    before = list(executor.actors)
    found = run(config, tasks, tmp_path, executor)
    assert [old is new for old, new in zip(before, executor.actors, strict=True)].count(False) == 1
    executor.close()
    assert found == alone
