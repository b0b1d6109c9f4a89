"""The table of an evaluation: means of categories, and intervals over tasks."""

from __future__ import annotations

import random
from typing import Any

import pytest

from rods.evaluation.episodes import EpisodeRow
from rods.evaluation.table import interval, summarise
from rods.rollout.episode import Ending


def row(task: str, progress: float | None, category: str = "base", **fields: Any) -> EpisodeRow:
    """An episode of which only the named fields matter."""
    lost = progress is None
    values: dict[str, Any] = {
        "task": task, "run": 0, "category": category, "id": task, "progress": progress,
        "complete": None if lost else progress == 1.0,
        "ending": Ending.ENVIRONMENT_FAILURE if lost else Ending.ANSWERED, "cause": "",
        "failed_turn": None, "failure": "", "verdicts": [], "judged": 0, "turns": [],
        **dict.fromkeys(("calls", "actions", "malformed", "cut_off", "shortened"), 1),
        "refusals": {}, "tokens_in": 10, "tokens_out": 1, "longest": 11, "seconds": 1.0,
    }  # fmt: skip
    return EpisodeRow(**{**values, **fields})


def test_an_interval_is_that_of_the_mean() -> None:
    for count, share in ((100, 0.5), (400, 0.2)):
        ones = round(count * share)
        found = interval({"base": [1.0] * ones + [0.0] * (count - ones)})
        assert found is not None and found.low is not None and found.high is not None
        width = 1.96 * (share * (1 - share) / count) ** 0.5
        assert found.mean == pytest.approx(share)
        assert found.low == pytest.approx(share - width, abs=0.1 * width)
        assert found.high == pytest.approx(share + width, abs=0.1 * width)


def test_the_interval_of_all_is_narrower_than_that_of_a_category() -> None:
    values = [random.Random(i).random() for i in range(100)]
    one, four = interval({"a": values}), interval(dict.fromkeys("abcd", values))
    assert one is not None and four is not None
    assert one.low is not None and one.high is not None
    assert four.low is not None and four.high is not None
    assert four.mean == pytest.approx(one.mean)
    assert four.high - four.low == pytest.approx((one.high - one.low) / 2, rel=0.1)


def test_overall_is_the_mean_of_the_categories_whatever_their_sizes() -> None:
    rows = [row(f"a{i}", 1.0, "a") for i in range(9)] + [row(f"b{i}", 0.0, "b") for i in range(3)]
    found = summarise(rows, "ab", 12)
    assert found["results"]["overall"]["complete"]["mean"] == 0.5
    assert not found["equal_categories"] and list(found["results"]) == ["a", "b", "overall"]
    assert summarise(rows[6:], "ab", 12)["equal_categories"]


def test_runs_of_a_task_are_one_value() -> None:
    """So more runs make the interval no narrower than the tasks allow."""
    rows = [row(f"t{i}", float(i % 2), run=run) for i in range(20) for run in range(5)]
    found = summarise(rows, ["base"], 100)["results"]["base"]
    once = summarise(rows[::5], ["base"], 20)["results"]["base"]
    assert found["progress"] == once["progress"] and found["episodes"] == 5 * found["tasks"]
    mixed = [row("one", 1.0), row("one", 0.0, run=1), row("two", 0.0), row("two", 0.0, run=1)]
    assert summarise(mixed, ["base"], 4)["results"]["base"]["complete"]["mean"] == 0.25


def test_results_do_not_depend_on_the_order_of_the_episodes() -> None:
    rows = [row(f"t{i}", i / 9, "ab"[i % 2], cause=str(i % 3)) for i in range(10)]
    shuffled = random.Random(0).sample(rows, 10)
    one, two = summarise(rows, "ab", 10), summarise(shuffled, "ab", 10)
    assert one == two


def test_lost_episodes_have_no_result() -> None:
    rows = [row("one", 1.0), row("two", None), row("three", 0.0)]
    found = summarise(rows, ["base"], 3)["results"]["base"]
    assert found["progress"]["mean"] == 0.5 and found["lost"] == 1
    assert summarise(rows[1:2], ["base"], 3)["results"]["overall"]["progress"] is None
    single = summarise(rows[:1], ["base"], 3)["results"]["base"]["progress"]
    assert single == {"mean": 1.0, "low": None, "high": None}
