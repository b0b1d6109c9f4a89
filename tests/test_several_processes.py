"""`rods train` in two processes on the CPU by `torchrun`: the run is that of one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from commandline import Done
from rods.store.store import Store
from small_shop import OPTIONS, ask_first, open_shop
from stock_model import make_model

STEPS = 11  # four epochs, of eight tasks and then of twelve
SETTINGS = {
    "steps": STEPS,
    "checkpoint_steps": 2,
    "rollout": "{group_size: 4, tasks_per_step: 4, token_budget: 700, action_tokens: 24}",
    "optimizer": "{learning_rate: 1.0e-3, microbatch: 2}",
    "boundary": "{rule: mean, low: 0.01, high: 0.99, cooldown: 0}",
    "pool": "{p_max: 4, beta: 0.5, burn_in: 0.0, hard: 0.0}",
    "synthesis.mode": "inline",
    "stages": "[{reward: progress}]",
    "policy.name": "model",
}
CLOSE = {"atol": 1e-6, "rtol": 1e-4}  # of the first update, between one process and two
TIME = 600  # seconds after which a hanging process is ended
PATHS = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
REFUSED = 60  # seconds within which a difference must be refused


class Shop:
    """A folder with tools, tasks, and a model, in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        open_shop(folder)
        ask_first(folder)
        make_model(folder / "model", size=600, ending=0.03)

    def arguments(self, run: str, *settings: str) -> list[str]:
        chosen = {**SETTINGS, "policy.model": str(self.folder / "model")}
        changes = [*(f"{k}={v}" for k, v in chosen.items()), *settings]
        more = [part for change in changes for part in ("--set", change)]
        return ["train", "--run", run, "--preset", "tiny", *OPTIONS, *more]

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """The command in the folder, as the leader of its own group of processes."""
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(PATHS)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, command: list[str]) -> Done:
        job = self.start(command)
        try:
            out, err = job.communicate(timeout=TIME)
        finally:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)
        return Done(job.returncode, out, err)

    def alone(self, run: str, *settings: str) -> Done:
        return self.call(["-m", "rods", *self.arguments(run, *settings)])

    def together(self, run: str, *settings: str, program: str = "rods") -> Done:
        return self.call(launcher(program, self.arguments(run, *settings)))

    def stored(self, run: str) -> dict[str, Any]:
        store = Store(self.folder / run, role="reader")
        found = {
            "epochs": store.epochs.all(),
            "tasks": store.tasks(),
            "groups": store.groups(),
            "events": store.events(),
            "evaluations": store.measures.heldout(),
        }
        store.close()
        return found

    def weights(self, run: str, step: int, name: str = "model") -> dict[str, torch.Tensor]:
        place = self.folder / run / "checkpoints" / f"checkpoint-{step}"
        return load_file(place / f"{name}.safetensors")


def launcher(module: str, arguments: list[str]) -> list[str]:
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return [*run, "-m", "--", module, *arguments]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


@pytest.mark.slow
def test_two_processes_play_and_train_as_one(shop: Shop) -> None:
    """Four epochs with variants: the same tasks, rewards, pool and measurements."""
    one, two = shop.alone("one"), shop.together("two")
    assert one.code == 0, one.err
    assert two.code == 0, two.err[-3000:]
    stored = shop.stored("two")
    assert len(stored["epochs"]) == 4
    assert any(event.kind == "injected" for event in stored["events"])
    assert any(len(set(group.rewards)) > 1 for group in stored["groups"])
    assert stored == shop.stored("one")
    for text in (f"step {STEPS}/{STEPS}", "Held-out tasks"):
        assert two.out.count(text) == 1, "one process shows the run"


@pytest.mark.slow
@pytest.mark.parametrize("adapters", [(), ("policy.lora={rank: 2, targets: [q_proj]}",)])
def test_the_first_update_is_that_of_one_process(shop: Shop, adapters: tuple[str, ...]) -> None:
    """With groups that straddle the processes: 3 groups of 4 rows in 2 times 6 rows."""
    settings = (*adapters, "steps=1", "rollout.tasks_per_step=3", "optimizer.microbatch=3")
    name = "adapter_model" if adapters else "model"
    for run, call in (("one", shop.alone), ("two", shop.together)):
        done = call(f"{run}-{name}", *settings)
        assert done.code == 0, done.err[-3000:]
    one, two = (shop.weights(f"{run}-{name}", 1, name) for run in ("one", "two"))
    assert shop.stored(f"one-{name}")["groups"] == shop.stored(f"two-{name}")["groups"]
    assert one.keys() == two.keys()
    for key, weight in one.items():
        torch.testing.assert_close(two[key], weight, **CLOSE)
    if not adapters:
        before = load_file(shop.folder / "model" / "model.safetensors")
        assert any(not weight.equal(one[key]) for key, weight in before.items())


@pytest.mark.slow
def test_processes_generate_in_step_through_trl(shop: Shop) -> None:
    """With 3 groups of 4 rows in 2 times 6 rows, and episodes that end at different rounds."""
    settings = ("policy.generation=trl", "steps=2", "rollout.tasks_per_step=3")
    done = shop.together("in-step", *settings, "optimizer.microbatch=3")
    assert done.code == 0, done.err[-3000:]
    groups = shop.stored("in-step")["groups"]
    assert [len(group.rewards) for group in groups] == [4] * 6
    assert any(len(set(group.rewards)) > 1 for group in groups)


@pytest.mark.slow
def test_a_killed_run_of_two_processes_is_resumed(shop: Shop) -> None:
    job = shop.start(launcher("rods", shop.arguments("killed")))
    metrics = shop.folder / "killed" / "metrics.jsonl"
    while job.poll() is None and len(lines(metrics)) < 3:
        time.sleep(0.1)
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate()
    done = shop.together("killed")
    assert done.code == 0, done.err[-3000:]
    whole = shop.together("unbroken")
    assert whole.code == 0, whole.err[-3000:]
    assert shop.stored("killed") == shop.stored("unbroken")
    one, two = (shop.weights(run, STEPS) for run in ("killed", "unbroken"))
    assert all(weight.equal(two[key]) for key, weight in one.items())


@pytest.mark.slow
def test_processes_with_different_tasks_are_refused(shop: Shop) -> None:
    """The second process has another file of tasks; both end within a minute, without a run."""
    text = (shop.folder / "tasks.jsonl").read_text()
    (shop.folder / "other.jsonl").write_text(text.replace("18:00", "19:00"))
    done, seconds = refused(shop, "differing_tasks", "differ")
    assert "tasks of process 1 of 2 are not those of process 0" in done.err
    assert done.err.count("rods: ") == 1
    assert not (shop.folder / "differ").exists()
    assert seconds < REFUSED


@pytest.mark.slow
def test_a_pool_that_becomes_different_is_refused(shop: Shop) -> None:
    """In the second epoch, the second process has another task under an id of the pool."""
    done, seconds = refused(shop, "differing_pool", "differ-later")
    assert "the tasks of process 1 of 2 are not those of process 0" in done.err
    assert len(lines(shop.folder / "differ-later" / "metrics.jsonl")) == 2
    assert seconds < REFUSED


def refused(shop: Shop, program: str, run: str) -> tuple[Done, float]:
    """A run of a program of the tests; with the seconds from its last step to its end."""
    began = time.time()
    done = shop.together(run, program=program)
    assert done.code != 0
    metrics = shop.folder / run / "metrics.jsonl"
    last = metrics.stat().st_mtime if metrics.exists() else began
    return done, time.time() - last


def lines(metrics: Path) -> list[str]:
    return metrics.read_text("utf-8").splitlines() if metrics.exists() else []
