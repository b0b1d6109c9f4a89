"""The benchmarks of costs measure what they say; how long anything takes is asserted nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

import loop_share
import pool_cost


@pytest.mark.parametrize("rule", ["mean", "posterior"])
def test_the_cost_of_a_large_pool(tmp_path: Path, monkeypatch, rule: str) -> None:
    monkeypatch.chdir(tmp_path)  # where the store is made
    found = pool_cost.Measurement(2_000, rule, 0.1).run()
    assert found["steps"] >= 2 * (2_000 // 32) - 10, "two epochs"
    assert found["events"] > 0.2 * 2_000, "as many retire or rest, pass and come in"
    figures = ("selection_ms", "observe_ms", "retirement_s", "injection_s", "order_s", "boundary_s")
    assert all(found[name] > 0 for name in figures)
    assert not list(tmp_path.iterdir())


def test_the_cost_of_the_loop_at_the_papers_size(tmp_path: Path) -> None:
    found = loop_share.loop_alone(tmp_path)
    assert found["active"] == [800] * loop_share.EPOCHS
    assert found["steps"] == 25 * loop_share.EPOCHS
    assert min(found["events_an_epoch"]) > 100
    assert 0 < found["observe_ms"] <= found["observe_worst_ms"]
    assert 0 < found["end_epoch_ms"] <= found["end_epoch_worst_ms"]
