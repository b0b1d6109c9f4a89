"""A run that is interrupted at any point ends like one that was not."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubles import begin, configs, finish, go, make_config
from rods.config import Config


@settings(max_examples=40)
@given(configs, st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=3))
def test_no_interruption_leaves_a_trace(
    tmp_path_factory: pytest.TempPathFactory, config: Config, stops: list[tuple[int, int]]
) -> None:
    root = tmp_path_factory.mktemp("runs")
    whole = begin(config, root / "whole")
    go(whole, 14)
    loop = begin(config, root / "broken")
    for stop, checkpoint in stops:
        go(loop, max(stop, loop.step))
        loop.store.close()
        loop = begin(config, root / "broken", step=min(checkpoint, loop.step))
    go(loop, 14)
    assert loop.curriculum.pool == whole.curriculum.pool
    assert finish(loop) == finish(whole)


@pytest.mark.parametrize("calls", range(6))
def test_an_interruption_inside_synthesis(
    tmp_path: Path, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(2, pool={"beta": 1.0})
    whole = begin(config, tmp_path / "whole")
    go(whole, 20)
    loop, counter = begin(config, tmp_path / "broken"), itertools.count()
    vary = loop.synthesis.vary

    def interrupted(*args):
        if next(counter) == calls:
            raise KeyboardInterrupt
        return vary(*args)

    monkeypatch.setattr(loop.synthesis, "vary", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go(loop, 20)
    reached = loop.step
    loop.store.close()
    loop = begin(config, tmp_path / "broken", step=reached)
    go(loop, 20)
    assert finish(loop) == finish(whole)


@pytest.mark.parametrize("rule", ["mean", "variance", "posterior"])
def test_outcomes_apart_from_rewards_come_back(tmp_path: Path, rule: str) -> None:
    """The format reward is trained on while the boundary reads the progress."""
    stages = [{"reward": "format"}]
    config = make_config(2, stages=stages, boundary={"rule": rule}, pool={"rest_epochs": 1})
    whole = begin(config, tmp_path / "whole")
    go(whole, 14)
    assert any(group.outcomes != group.rewards for group in whole.store.groups())
    assert any(event.kind == "injected" for event in whole.store.events())
    loop = begin(config, tmp_path / "broken")
    go(loop, 9)
    loop.store.close()
    loop = begin(config, tmp_path / "broken", step=6)
    go(loop, 14)
    assert loop.curriculum.pool == whole.curriculum.pool
    assert finish(loop) == finish(whole)


class DiskFullError(Exception):
    """What a store raises that cannot be written."""


@pytest.mark.parametrize("arm", ["rods", "fresh"])
@pytest.mark.parametrize("at", range(3))
def test_a_transaction_that_failed_leaves_no_trace(
    tmp_path: Path, arm: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What synthesis made and the store did not take may be made again."""
    config = make_config(2, arm=arm, pool={"beta": 1.0})
    whole, loop = begin(config, tmp_path / "whole"), begin(config, tmp_path / "broken")
    go(whole, 16)
    go(loop, 4)
    calls, add_tasks = itertools.count(), loop.store.add_tasks

    def failing(tasks, step):
        tasks = list(tasks)
        if tasks and next(calls) == at:
            raise DiskFullError
        add_tasks(tasks, step)

    monkeypatch.setattr(loop.store, "add_tasks", failing)
    with pytest.raises(DiskFullError):
        go(loop, 16)
    loop.load(loop.step)
    go(loop, 16)
    assert finish(loop) == finish(whole)


def test_synthesis_that_was_given_up_is_tried_again(tmp_path: Path) -> None:
    config = make_config(2, pool={"beta": 1.0}, synthesis={"errors": 1})
    loop = begin(config, tmp_path)
    vary = loop.synthesis.vary
    loop.synthesis.vary = lambda *_: 1 / 0
    go(loop, 9)
    assert loop.producer.errors.gave_up
    loop.synthesis.vary = vary
    loop.load(4)
    go(loop, 9)
    assert not loop.producer.errors.gave_up and loop.curriculum.pool.injected
    loop.store.close()
