"""The benchmarks of costs measure what they say, by a clock that advances one second a reading."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from types import SimpleNamespace
from urllib.request import Request, urlopen

import pytest

import loop_share
import model_server
import pool_cost


def clock() -> SimpleNamespace:
    """In place of the module `time`: whatever is measured takes a second, and one more for each
    look at the clock in it."""
    return SimpleNamespace(perf_counter=count().__next__)


@pytest.mark.parametrize("rule", ["mean", "posterior"])
def test_the_cost_of_a_large_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    monkeypatch.chdir(tmp_path)  # where the store is made
    monkeypatch.setattr(pool_cost, "time", clock())
    monkeypatch.setattr(pool_cost, "additions", lambda: 0.5)
    found = pool_cost.Measurement(2_000, rule, 0.1).run()
    first, second = 2_000 // 32, found["active"] // 32
    assert abs(found["steps"] - first - second) <= 10, "two epochs, the second of another size"
    assert found["events"] > 0.2 * 2_000, "as many retire or rest, pass and come in"
    # Of a step the choice alone, and the step with it.
    assert found["selection_ms"] == found["selection_worst_ms"] == 1000
    assert found["observe_ms"] == found["observe_worst_ms"] == 3000
    # Of an epoch's end retirement and injection alone, the end with both, and the next order.
    assert found["resume_s"] == found["retirement_s"] == found["injection_s"] == 1
    assert (found["end_epoch_s"], found["order_s"], found["boundary_s"]) == (5, 1, 6)
    assert found["additions_s"] == [0.5, 0.5]
    assert not list(tmp_path.iterdir())


def test_the_cost_of_the_loop_at_the_papers_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_share, "time", clock())
    found = loop_share.loop_alone(tmp_path)
    assert found["active"] == [800] * loop_share.EPOCHS
    assert found["steps"] == 25 * loop_share.EPOCHS
    assert min(found["events_an_epoch"]) > 100
    figures = ("observe_ms", "observe_worst_ms", "end_epoch_ms", "end_epoch_worst_ms")
    assert [found[name] for name in figures] == [1000] * 4


def test_the_server_of_the_benchmarks_counts_its_requests() -> None:
    with model_server.served(0, 0.0, 0.0) as server:
        request = Request(f"{server.url}/chat/completions", data=b"{}", method="POST")
        with pytest.raises(OSError), urlopen(request):  # its script fails without messages
            pass
        seen = server.seen()
    assert seen["requests"] == seen["highest"] == len(seen["arrivals"]) == 1
