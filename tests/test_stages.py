"""Stages of the curriculum: when the next one begins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rods.envs.bfcl_data import CATEGORIES
from rods.stages import Plateau, Stage, stage_after


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
