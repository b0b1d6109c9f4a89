"""The driver's side of a run on verl, without verl."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rods.config import Config, HardwareConfig
from rods.errors import UserError
from rods.rollout.episode import Ending
from rods.rollout.rollout import Rollout
from rods.store.store import Store
from rods.trainers.checkpoints import FOLDER, MARK
from rods.trainers.verl.driver import Driver
from rods.trainers.verl.row import NOTHING, TRAIN, Order, Result, Told
from rods.trainers.verl.tasks import StepTasks
from rods.trainers.verl.watch import Lines
from tiny_chat_model import save_tiny_model

Open = Callable[[], Driver]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_tiny_model(folder)
    return folder


@pytest.fixture
def opened(model: Path, tmp_path: Path) -> Iterator[Open]:
    config = Config.model_validate(
        {
            "steps": 6,
            "stages": [{"reward": "progress"}],
            "rollout": {"group_size": 2, "tasks_per_step": 4, "token_budget": 16_000},
            "pool": {"seeds": 8},
            "boundary": {"cooldown": 0},
            "synthesis": {"mode": "inline"},
            "optimizer": {"microbatch": 2},
            "evaluation": {"tasks": 0, "validation_every": 0},
            "policy": {"name": "model", "model": str(model), "renderer": {"tool_docs": "short"}},
        }
    )
    made: list[Driver] = []

    def open_driver() -> Driver:
        for driver in made:
            driver.close()
        made.append(Driver(config, tmp_path / "run", Lines(), lambda seed, step: None))  # type: ignore[arg-type, return-value]
        return made[-1]

    yield open_driver
    for driver in made:
        driver.close()


def played(order: Order, session: int, progress: float, lost: bool = False) -> Result:
    rollout = Rollout(
        order.task.id, [], [], [1], [], progress, progress == 1.0, 0.5, [progress == 1.0],
        Ending.ENVIRONMENT_FAILURE if lost else Ending.ANSWERED,
        Told((), told=[("user", "hello")]), {}, "the tools hang" if lost else "",
    )  # fmt: skip
    return Result(order.place, session, rollout)


def results(orders: list[Order]) -> list[Result]:
    """Of a step: signal, equal rewards, a lost rollout, signal."""
    rewards = ((0.2, 0.8), (0.2, 0.2), (0.5, 0.5), (0.0, 1.0))
    return [
        played(order, k, rewards[order.place][k], lost=(order.place, k) == (2, 1))
        for order in orders
        for k in (1, 0)
    ]


def step(driver: Driver) -> Any:
    observed = driver.observe(results(driver.orders()))
    driver.report({"loss": 0.5, "grad_norm": 1.0})
    return observed


def test_groups_reach_the_loop_once_and_the_update_learns_what_is_silent(opened: Open) -> None:
    driver = opened()
    observed = step(driver)
    assert observed.lost == {(2, 1)}
    assert observed.silent == {1, 2}  # one rollout is left of the third
    assert driver.loop.step == 1
    assert [group.rewards for group in driver.loop.latest] == [
        (0.2, 0.8), (0.2, 0.2), (0.5,), (0.0, 1.0),
    ]  # fmt: skip
    (line,) = driver.store.measures.metrics()
    assert (line["loss"], line["grad_norm"], line["trajectories"]) == (0.5, 1.0, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found[:-1], "7 results came back for 8 rollouts"),
        (lambda found: [*found, found[0]], "9 results came back for 8 rollouts"),
        (
            lambda found: (
                [
                    Result.failed(0, 0, InterruptedError()),
                    *found[2:],
                    Result.failed(1, 0, RuntimeError("torn")),
                ]
            ),
            "2 of 8 rollouts failed: RuntimeError: torn",
        ),
    ],
)
def test_missing_or_failed_rollouts_end_the_run_and_change_nothing(
    opened: Open, change: Callable[[list[Result]], list[Result]], message: str
) -> None:
    driver = opened()
    found = results(driver.orders())
    with pytest.raises(UserError, match=message):
        driver.observe(change(found))
    assert driver.loop.step == 0 and not driver.store.groups()


def test_a_checkpoint_brings_back_its_step(opened: Open, tmp_path: Path) -> None:
    driver = opened()
    for number in (1, 2, 3, 4):
        first = [order.task.id for order in driver.orders()]
        driver.loop.load(driver.loop.step)
        assert [order.task.id for order in driver.orders()] == first
        driver.loop.load(driver.loop.step)
        step(driver)
        if number < 4:
            folder = tmp_path / "run" / FOLDER / f"global_step_{number}"
            folder.mkdir(parents=True)
            driver.saved(folder)
    torn = tmp_path / "run" / FOLDER / "global_step_4"
    torn.mkdir()
    due = driver.store.groups()[12:]
    again = opened()
    assert (again.step, again.loop.step) == (3, 3)
    assert not torn.exists()
    kept = sorted(p.parent.name for p in (tmp_path / "run" / FOLDER).glob(f"*/{MARK}"))
    assert kept == ["global_step_2", "global_step_3"]
    step(again)
    assert again.store.groups()[12:] == due


def test_a_checkpoint_of_another_number_of_processes_is_refused(
    opened: Open, tmp_path: Path
) -> None:
    driver = opened()
    step(driver)
    of_two = driver.config.model_copy(update={"hardware": HardwareConfig(gpus=2)})
    driver.close()
    again = Driver(of_two, driver.folder, Lines(), lambda seed, step: None)  # type: ignore[arg-type, return-value]
    step(again)  # there was no checkpoint
    folder = tmp_path / "run" / FOLDER / "global_step_1"
    folder.mkdir(parents=True)
    again.saved(folder)
    again.close()
    message = r"global_step_1: written by 2 training processes, not 1; set hardware\.gpus=2"
    with pytest.raises(UserError, match=message):
        opened()
    Driver(of_two, driver.folder, Lines(), lambda seed, step: None).close()  # type: ignore[arg-type, return-value]


def test_a_second_driver_is_refused(opened: Open, tmp_path: Path) -> None:
    driver = opened()
    with pytest.raises(UserError, match="this process has a run already"):
        Driver(driver.config, tmp_path / "other", Lines(), lambda seed, step: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(UserError, match="run"):
        Store(tmp_path / "run")


def test_verl_reads_a_step_in_order_and_each_pass_draws_the_next(opened: Open) -> None:
    driver = opened()
    rows = StepTasks(TRAIN, tokenizer=None, processor=None, config=None, max_samples=-1)
    assert len(rows) == 4 and len(StepTasks(NOTHING)) == 0
    found = [Order.read(rows[place]) for place in range(4)]
    assert [order.place for order in found] == [0, 1, 2, 3]
    driver.observe(results(found))
    again = [Order.read(rows[place]) for place in range(4)]
    assert {order.step for order in again} == {2}
    assert {order.task.id for order in again}.isdisjoint(order.task.id for order in found)


def test_a_shuffled_or_copied_reader_is_refused(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened()
    rows = StepTasks(TRAIN)
    with pytest.raises(UserError, match=r"data\.shuffle=False"):
        rows[2]
    with pytest.raises(UserError, match="dataloader_num_workers=0"):
        pickle.dumps(rows)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(UserError, match="dataloader_num_workers=0"):
        rows[0]


def test_without_a_driver_there_are_no_tasks() -> None:
    with pytest.raises(UserError, match="only the driver"):
        StepTasks(TRAIN)
