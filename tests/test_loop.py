"""The closed loop with random rewards: what it draws, and that no interruption leaves a trace."""

from __future__ import annotations

import itertools
import signal
from collections import Counter
from copy import deepcopy
from pathlib import Path

import pytest
from doubles import RenamingSynthesis, make_config, make_seeds, play
from hypothesis import given, settings
from hypothesis import strategies as st

from rods.boundary import Group
from rods.config import Config
from rods.loop import Epoch, Loop
from rods.store import Store
from rods.task import Category

SEEDS = make_seeds(8)
configs = st.builds(
    lambda size, arm, rule, cooldown, rest, seed: make_config(
        size,
        arm=arm,
        seed=seed,
        boundary={"rule": rule, "cooldown": cooldown, "quota": 2},
        pool={"p_max": 3, "rest_epochs": rest},
    ),
    st.integers(1, 3),
    st.sampled_from(["static", "fresh", "rods", "rods"]),
    st.sampled_from(["mean", "variance"]),
    st.sampled_from([0, 5]),
    st.integers(0, 1),
    st.integers(0, 3),
)


@pytest.fixture(autouse=True)
def watchdog():
    """A loop that never ends fails its test instead of stopping all of them."""

    def bark(*_: object) -> None:
        raise AssertionError("the loop does not end")

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def begin(config: Config, folder: Path, step: int = 0) -> Loop:
    """A new process at this checkpoint; synthesis learns what exists, as in `rods.run`."""
    synthesis = RenamingSynthesis()
    loop = Loop(config, Store(folder), SEEDS, synthesis, step=step)
    synthesis.known.update(loop.tasks)
    return loop


def go(loop: Loop, until: int) -> list[Epoch]:
    """Train to that step; returns the epochs that were drawn."""
    size, epochs = loop.config.rollout.tasks_per_step, []
    while loop.step < until:
        epoch = loop.next_epoch()
        epochs.append(epoch)
        tasks = epoch.tasks[epoch.skip :]
        for at in range(0, len(tasks), size):
            if loop.step < until:
                loop.observe(play(tasks[at : at + size], epoch.index, loop.step + 1))
    return epochs


def finish(loop: Loop) -> list[object]:
    """All that the store holds, closing it."""
    store = loop.store
    found = [store.tasks(), store.groups(), store.events(), store.epochs(), store.funnel()]
    store.close()
    return found


@settings(max_examples=60)
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
    assert loop.pool == whole.pool
    assert finish(loop) == finish(whole)


@pytest.mark.parametrize("calls", range(6))
def test_an_interruption_inside_synthesis(
    tmp_path: Path, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(2, pool={"beta": 1.0})
    whole = begin(config, tmp_path / "whole")
    go(whole, 10)
    loop, counter = begin(config, tmp_path / "broken"), itertools.count()
    vary = loop.synthesis.vary

    def interrupted(*args):
        if next(counter) == calls:
            raise KeyboardInterrupt
        return vary(*args)

    monkeypatch.setattr(loop.synthesis, "vary", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go(loop, 10)
    reached = loop.step
    loop.store.close()
    loop = begin(config, tmp_path / "broken", step=reached)
    go(loop, 10)
    assert finish(loop) == finish(whole)


@settings(max_examples=60)
@given(configs)
def test_what_every_arm_promises(tmp_path_factory, config: Config) -> None:
    loop = begin(config, tmp_path_factory.mktemp("run"))
    epochs = go(loop, 16)
    size = config.rollout.tasks_per_step
    tasks, groups, events, stored, _ = finish(loop)
    assert [(e.index, e.first_step, [t.id for t in e.tasks]) for e in epochs] == stored
    originals, seen = {t.id for t in SEEDS}, Counter(i for *_, ids in stored for i in ids)
    assert all(len(ids) % size == 0 and ids for *_, ids in stored)
    assert {g.task_id for g in groups} <= set(seen) <= set(tasks)
    kinds = Counter(e.kind for e in events)
    if config.arm == "fresh":
        assert set(seen.values()) == {1}
        assert not originals & set(seen)
    else:
        assert all(len(set(ids)) == len(ids) for *_, ids in stored if len(ids) >= size)
    if config.arm == "static":
        assert set(tasks) == originals
    if config.arm != "rods":
        assert set(kinds) <= {"seeded", "closed"}
    assert max(Counter(e.task_id for e in events if e.kind == "injected").values(), default=1) == 1
    assert not {e.task_id for e in events if e.kind == "retired"} & originals


@settings(max_examples=60)
@given(configs.filter(lambda c: c.arm == "rods"))
def test_injection_keeps_to_its_limits(tmp_path_factory, config: Config) -> None:
    loop = begin(config, tmp_path_factory.mktemp("run"))
    for _ in range(5):
        epoch = loop.next_epoch()
        go(loop, loop.step + len(epoch.tasks) // config.rollout.tasks_per_step)
        pool, before = deepcopy(loop.pool), loop.store.events()
        told = loop.end_epoch()
        for event in itertools.takewhile(lambda e: e.kind != "injected", told):
            pool.apply(event, loop.tasks[event.task_id])
        injected = [e for e in told if e.kind == "injected"]
        assert len(injected) <= config.pool.beta * len(pool.live())
        live = {e.task.id for e in loop.pool.live()}
        assert {e.task_id for e in injected} <= live
        assert not {e.task_id for e in loop.store.events() if e.kind == "retired"} & live
        assert all(loop.tasks[e.task_id].parent == e.reason for e in injected)
        chosen = {e.task_id for e in before if (e.kind, e.epoch) == ("chosen", epoch.index)}
        assert {e.reason for e in injected} <= chosen, "varied though not chosen in this epoch"
    loop.store.close()


def test_the_seed_fixes_the_order(tmp_path: Path) -> None:
    def drawn(name: str, seed: int) -> list[list[str]]:
        loop = begin(make_config(3, seed=seed), tmp_path / name)
        go(loop, 9)
        return [ids for *_, ids in finish(loop)[3]]

    one, same, other = drawn("one", 1), drawn("same", 1), drawn("other", 2)
    assert one == same != other
    left_out = {t.id for t in SEEDS} - set(one[0])
    assert len(left_out) == 2
    assert left_out <= set(one[1])


def test_stages_filter_and_do_not_expand(tmp_path: Path) -> None:
    stages = [
        {"reward": "format", "categories": ["base"], "epochs": 1, "expand": False},
        {"reward": "progress", "categories": ["base", "miss_func"], "epochs": 1, "expand": False},
        {"reward": "progress"},
    ]
    loop = begin(make_config(2, stages=stages), tmp_path / "rods")
    epochs = go(loop, 12)
    assert [t.category for t in epochs[0].tasks] == [Category.BASE] * 2
    assert Counter(t.category for t in epochs[1].tasks) == {Category.BASE: 2, Category.MISS_FUNC: 2}
    assert [e.stage.reward for e in epochs[:3]] == ["format", "progress", "progress"]
    assert {e.kind for e in loop.store.events() if e.epoch <= 2} <= {"seeded", "closed", "chosen"}
    assert not [e for e in loop.store.events() if e.kind == "chosen" and e.epoch < 2]
    assert [e for e in loop.store.events() if e.kind == "injected"]
    loop.store.close()
    loop = begin(make_config(2, arm="fresh", stages=stages), tmp_path / "fresh")
    assert {t.category for t in loop.next_epoch().tasks} == {Category.BASE}
    loop.store.close()


def test_an_epoch_is_drawn_even_when_all_originals_rest(tmp_path: Path) -> None:
    loop = begin(make_config(2, pool={"rest_epochs": 2}), tmp_path / "run")
    signal.alarm(20)
    for step in range(1, 5):
        tasks = loop.next_epoch().tasks[(step - 1) * 2 : step * 2]
        loop.observe([Group(t.id, t.category, (0.0, 0.0), 0, step) for t in tasks])
    epoch = loop.next_epoch()
    assert (epoch.index, len(epoch.tasks) % 2) == (1, 0)
    assert set(epoch.tasks) <= set(SEEDS)
    loop.store.close()


def test_a_small_pool_fills_a_step_by_repetition(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    loop = Loop(make_config(3), store, SEEDS[:2], RenamingSynthesis(SEEDS))
    counts = Counter(t.id for t in loop.next_epoch().tasks)
    assert sorted(counts.values()) == [1, 2]
    store.close()
