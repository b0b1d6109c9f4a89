"""TRL and verl, each its real trainer, do the same with the same random seed and rewards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cluster_runs import STEPS, history, stored
from trl_python import by_trl

from rods.metrics import untimed

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def other(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run by TRL, in one process."""
    folder = tmp_path_factory.mktemp("trl")
    by_trl("train_by_trl.py", str(run.parent / "model"), folder=folder)
    return folder / "run"


def test_the_order_the_rewards_and_the_pool_are_the_same(run: Path, other: Path) -> None:
    there, here = history(run), history(other)
    for what in ("epochs", "groups", "events"):
        assert there[what] == here[what], what
    assert len(here["groups"]) == 4 * STEPS


def test_the_variants_are_the_same(run: Path, other: Path) -> None:
    made = []
    for folder in (run, other):
        with stored(folder) as store:
            made.append([task.model_dump() for task in store.queue.candidates()])
    assert made[0] and made[0] == made[1]


def test_the_summaries_are_the_same_but_for_times(run: Path, other: Path) -> None:
    there, here = (json.loads((each / "summary.json").read_text()) for each in (run, other))
    assert untimed(there) == untimed(here)
    assert here["pool"]["injected"] and here["pool"]["retired"]
