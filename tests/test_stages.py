"""Stages of the curriculum: when the next one begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import begin, finish, make_config, play
from rods.config import Config
from rods.envs.bfcl_data import CATEGORIES
from rods.loop import Loop
from rods.preflight.schedule import epochs
from rods.stages import Plateau, Stage, stage_after
from rods.store.schema import TaskMeasurement
from runs import Runs


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.booleans())
def test_the_stage_of_an_epoch(lengths: list[int], endless: bool) -> None:
    stages = [Stage(categories=(CATEGORIES[i],), epochs=n) for i, n in enumerate(lengths)]
    if endless:
        stages[-1] = stages[-1].model_copy(update={"epochs": None})
    spread = [number for number, n in enumerate(lengths) for _ in range(n)]
    found = [0]
    for _ in range(20):
        found.append(stage_after(stages, found[-1], found.count(found[-1]), [], {}))
    assert found[: len(spread)] == spread
    assert set(found[len(spread) :]) == {len(stages) - 1}, "the last stage never ends"


def test_a_stage_ends_at_a_share_of_the_run() -> None:
    stages = [Stage(until=0.25), Stage(until=0.75, epochs=9), Stage()]
    found = [stage_after(stages, number, 1, [], {}, done) for number, done in ENDS]
    assert found == [0, 1, 1, 2, 2]
    assert stage_after(stages, 1, 9, [], {}, 0.5) == 2, "whichever comes first"
    with pytest.raises(ValueError, match="only the last stage may leave out all of"):
        make_config(stages=[{}, {}])
    config = make_config(4, arm="static", steps=16, stages=[{"until": 0.5}, {"hints": True}])
    assert [e.stage for e in epochs(config, {"base": 8})] == [0] * 4 + [1] * 4


ENDS = [(0, 0.24), (0, 0.25), (1, 0.74), (1, 0.75), (2, 1.0)]


def test_a_plateau_is_a_window_without_a_gain() -> None:
    """With a gain of 0.1 in two measurements, counted from the best one before them."""
    plateau = Plateau(window=2, gain=0.1)
    for values, reached in [
        ([0.0, 0.5, 0.4], False),
        ([0.5, 0.5, 0.55], True),
        ([0.5, 0.5, 0.6], False),
        ([0.5, 0.6, 0.5], False),
        ([0.1, 0.9, 0.2, 0.3], True),
        ([0.5, 0.4], False),
    ]:
        curve = [(10 * i, value) for i, value in enumerate(values)]
        assert plateau.reached(curve, {}) is reached, values


def test_a_plateau_needs_a_stable_gradient_norm() -> None:
    plateau = Plateau(window=2, gain=0.1, spread=0.5)
    curve = [(0, 0.5), (2, 0.5), (4, 0.5)]
    stable, unstable = {1: 1.0, 2: 3.0, 3: 2.5, 4: 2.1}, {1: 1.0, 2: 1.0, 3: 2.0, 4: 2.0}
    assert plateau.reached(curve, stable)
    assert not plateau.reached(curve, unstable)
    assert plateau.reached([(-2, 0.5), *curve], unstable | {1: 2.0, 2: 2.0}), "the window's alone"


PLATEAU = {"window": 1, "gain": 0.1, "spread": 0.5}
STAGES = [{"expand": False, "plateau": PLATEAU, "epochs": 4}, {"epochs": 1}, {"plateau": PLATEAU}]


def measure(loop: Loop, value: float) -> None:
    """What a run stores when an epoch has ended, once for each step."""
    if any(row.step == loop.step for row in loop.store.measures.heldout()):
        return
    with loop.store.transaction():
        row = TaskMeasurement(loop.step, "validation", "task", "base", value, 0.0, 1)
        loop.store.measures.add_heldout([row, row._replace(side="test", progress=0.9)])


def train(loop: Loop, values: Sequence[float], until: int) -> list[int]:
    """Train, with a measurement at the beginning of each epoch; the stage of each epoch."""
    while loop.step < until:
        if loop.epoch is None or loop.epoch_done():
            measure(loop, values[loop.epoch.number + 1 if loop.epoch else 0])
        groups = play(loop.next_tasks(), loop.step + 1)
        loop.add_groups(groups)
        loop.store.measures.add_metrics(loop.step, {"grad_norm": 1.0 if loop.step % 2 else 1.2})
    return [epoch.stage for epoch in loop.store.epochs.all()]


def of_stages(values: object = STAGES) -> Config:
    return make_config(2, arm="static", stages=values)  # epochs of four steps


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, 0.3, 0.35, 0.1, 0.1, 0.1], [0, 0, 1, 2, 2, 2]),  # no gain in the second epoch
        ([0.1, 0.1, 0.9, 0.9, 0.9, 0.9], [0, 1, 2, 2, 2, 2]),  # nor in the first
        ([0.1, 0.25, 0.4, 0.55, 0.7, 0.85], [0, 0, 0, 0, 1, 2]),  # four epochs at most
    ],
)
def test_a_stage_ends_at_its_plateau(
    tmp_path: Path, values: list[float], expected: list[int]
) -> None:
    loop = begin(of_stages(), tmp_path / "run")
    assert train(loop, values, 24) == expected
    assert loop.stage == loop.config.stages[2]
    loop.store.close()


@pytest.mark.parametrize("back", [4, 6, 8])
def test_the_stage_is_resumed(tmp_path: Path, back: int) -> None:
    """Also from a checkpoint before the measurement that ended the stage."""
    values = [0.1, 0.3, 0.35, 0.1, 0.1, 0.1]
    whole, loop = begin(of_stages(), tmp_path / "whole"), begin(of_stages(), tmp_path / "broken")
    train(whole, values, 20)
    train(loop, values, 13)
    loop.store.close()
    loop = begin(of_stages(), tmp_path / "broken", step=back)
    assert train(loop, values, 20) == [0, 0, 1, 2, 2]
    assert finish(loop) == finish(whole)


def test_an_epoch_without_a_measurement_ends_no_stage(tmp_path: Path) -> None:
    loop = begin(of_stages(), tmp_path / "run")
    measure(loop, 0.5)
    while loop.step < 12:
        loop.add_groups(play(loop.next_tasks(), loop.step + 1))
    assert [epoch.stage for epoch in loop.store.epochs.all()] == [0, 0, 0]
    loop.store.close()


@pytest.mark.slow
def test_a_run_moves_on_at_a_plateau(runs: Runs) -> None:
    """No measurement gains 1.0, so each stage but the last has one epoch."""
    plateau = "plateau: {window: 1, gain: 1.0, spread: 100}"
    stages = f"stages=[{{reward: format, expand: false, {plateau}}}, {{reward: progress}}]"
    command = runs.command("plateau", "--set", stages, "--set", "steps=12")
    done = runs.call(command)
    assert done.code == 0, done.err
    found = [(line["epoch"], line["stage_number"], line["stage"]) for line in runs.lines("plateau")]
    assert {(number, name) for epoch, number, name in found if epoch == 0} == {(0, "format")}
    assert {(number, name) for epoch, number, name in found if epoch > 0} == {(1, "progress")}
    assert "epoch 1 begins stage 2 of 2, reward progress" in done.out
