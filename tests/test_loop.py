"""The closed loop with random rewards: what it draws, injects and retires."""

from __future__ import annotations

import itertools
import random
import signal
from collections import Counter
from copy import deepcopy
from fractions import Fraction
from math import floor
from pathlib import Path

import pytest
from hypothesis import given, settings

from doubles import (
    SEEDS,
    RenamingSynthesis,
    begin,
    configs,
    faults_of,
    finish,
    go,
    make_config,
    make_seeds,
    play,
    steps,
    with_signal,
)
from rods.config import Config
from rods.group import GroupRewards
from rods.loop import Loop
from rods.metrics import summarise
from rods.store.schema import Fates
from rods.store.store import Store
from rods.synthesis.jobs import NoSynthesis
from rods.synthesis.worker import FRESH
from rods.task import Task


@settings(max_examples=40)
@given(configs)
def test_what_every_arm_promises(tmp_path_factory, config: Config) -> None:
    loop = begin(config, tmp_path_factory.mktemp("run"))
    epochs = go(loop, 16)
    size = config.rollout.tasks_per_step
    assert faults_of(loop.store, config) == []
    tasks, groups, events, stored, *_ = finish(loop)
    assert [(e.number, e.first_step, e.task_ids) for e in epochs] == [
        (e, s, i) for e, s, *_, i in stored
    ]
    originals, seen = {t.id for t in SEEDS}, Counter(i for *_, ids in stored for i in ids)
    assert all(len(ids) % size == 0 and ids for *_, ids in stored)
    assert {g.task_id for g in groups} <= set(seen) <= set(tasks)
    kinds = Counter(e.kind for e in events)
    if config.arm == "fresh":
        assert set(seen.values()) == {1}
        assert not originals & set(seen)
    else:
        assert all(len(set(ids)) == len(ids) for *_, ids in stored if len(ids) > size)
    if config.arm == "static":
        assert set(tasks) == originals
    if config.arm != "rods":
        assert set(kinds) == {"seeded"}
    assert max(Counter(e.task_id for e in events if e.kind == "injected").values(), default=1) == 1
    assert not {e.task_id for e in events if e.kind == "retired"} & originals


@settings(max_examples=40)
@given(configs.filter(lambda c: c.arm == "rods"))
def test_injection_keeps_to_its_limits(tmp_path_factory, config: Config) -> None:
    loop = begin(config, tmp_path_factory.mktemp("run"))
    beta, joined, allowed = Fraction(str(config.pool.beta)), 0, Fraction(0)
    for _ in range(5):
        for tasks in steps(loop):
            loop.add_groups(play(tasks, loop.step + 1))
        epoch = loop.epoch
        pool, before = deepcopy(loop.curriculum.pool), loop.store.events()
        carried = loop.curriculum.admission.carried
        reported = loop.end_epoch()
        for event in itertools.takewhile(
            lambda e: e.reason != "pruned" and e.kind != "injected", reported
        ):
            pool.apply(event)
        injected = [e for e in reported if e.kind == "injected"]
        members = len(pool.live) + len(pool.resting)
        joined, allowed = joined + len(injected), allowed + beta * members
        assert len(injected) <= floor(carried + beta * members)
        assert joined <= allowed
        assert loop.curriculum.pool.generated <= config.pool.p_max
        live = set(loop.curriculum.pool.live)
        assert {e.task_id for e in injected} <= live
        assert not {e.task_id for e in loop.store.events() if e.kind == "retired"} & live
        assert all(loop.task(e.task_id).parent == e.reason for e in injected)
        recent = range(epoch.number - config.synthesis.patience, epoch.number + 1)
        chosen = {e.task_id for e in before if e.kind == "chosen" and e.epoch in recent}
        assert {e.reason for e in injected} <= chosen, "varied though not chosen lately"
    loop.store.close()


def at_the_boundary(loop: Loop, ends: int) -> list[int]:
    """So many epochs in which all groups have a signal; how many tasks joined at each end."""
    joined = []
    for _ in range(ends):
        for tasks in steps(loop):
            loop.add_groups(with_signal(tasks))
        joined.append(sum(event.kind == "injected" for event in loop.end_epoch()))
    return joined


def growing(folder: Path, seeds: int, beta: float, **sections: object) -> Loop:
    """A pool without other limits than beta."""
    config = make_config(
        1,
        boundary={"rule": "mean", "cooldown": 0, "quota": 9},
        pool={"beta": beta, "p_max": 99},
        **sections,
    )
    return Loop(config, Store(folder, durable=False), make_seeds(seeds), RenamingSynthesis())


def test_a_small_pool_grows(tmp_path: Path) -> None:
    """A fifth of three tasks is less than one; what is left over counts at the next end."""
    loop = growing(tmp_path, 3, 0.2)
    # 3/5, 3/5 + 3/5, 1/5 + 4/5, 5/5, 6/5, 1/5 + 7/5, 3/5 + 8/5
    assert at_the_boundary(loop, 7) == [0, 1, 1, 1, 1, 1, 2]
    assert loop.curriculum.admission.carried == Fraction(1, 5)
    assert loop.queue.fates(6) == Fates(7, 7, 0, 0), "no more is made than joins"
    assert faults_of(loop.store, loop.config) == []
    loop.store.close()


def test_beta_is_the_decimal_that_was_typed(tmp_path: Path) -> None:
    """As floating-point numbers 0.29 * 100 is less than 29."""
    loop = growing(tmp_path, 100, 0.29)
    assert at_the_boundary(loop, 1) == [29]
    loop.store.close()


def test_what_was_allowed_and_did_not_come_is_lost(tmp_path: Path) -> None:
    loop = growing(tmp_path, 3, 0.5)
    synthesis, loop.producer.synthesis = loop.producer.synthesis, NoSynthesis()
    assert at_the_boundary(loop, 3) == [0, 0, 0]  # 1.5, 0.5 + 1.5, 1.5
    loop.producer.synthesis = synthesis
    assert at_the_boundary(loop, 1) == [2]
    loop.store.close()


def test_an_epoch_that_does_not_expand_carries_nothing(tmp_path: Path) -> None:
    stages = [{"expand": False, "epochs": 2}, {"epochs": 1}, {"expand": False, "epochs": 2}, {}]
    loop = growing(tmp_path, 3, 0.2, stages=stages)
    assert at_the_boundary(loop, 6) == [0, 0, 0, 0, 0, 1]
    texts = loop.store.db.read("SELECT carried FROM ends ORDER BY epoch")
    assert [text for (text,) in texts] == ["0", "0", "3/5", "3/5", "3/5", "1/5"]
    assert faults_of(loop.store, loop.config) == []
    loop.store.close()


@pytest.mark.parametrize("back", [0, 1, 2, 3])
def test_what_is_carried_over_goes_back_with_the_run(tmp_path: Path, back: int) -> None:
    """Also where the trainer goes back to before the end that left it over."""
    whole, loop = growing(tmp_path / "whole", 3, 0.2), growing(tmp_path / "broken", 3, 0.2)
    at_the_boundary(whole, 5)
    at_the_boundary(loop, 2)
    step = loop.step - 3 * back // 2
    loop.store.close()
    config, store = loop.config, Store(tmp_path / "broken", durable=False)
    loop = Loop(config, store, make_seeds(3), RenamingSynthesis(), step=step)
    while len(loop.store.epochs.ends()) < 5:
        at_the_boundary(loop, 1)
    assert loop.store.epochs.ends() == whole.store.epochs.ends()
    assert loop.curriculum.admission.carried == whole.curriculum.admission.carried
    assert finish(loop) == finish(whole)


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
    loop = begin(make_config(2, stages=stages, pool={"rest_epochs": 1}), tmp_path / "rods")
    epochs = go(loop, 12)
    first, second = ([loop.task(i).category for i in epoch.task_ids] for epoch in epochs[:2])
    assert first == ["base"] * 2
    assert Counter(second) == {"base": 2, "miss_func": 2}
    rewards = [loop.config.stage(epoch.stage).reward for epoch in epochs[:3]]
    assert rewards == ["format", "progress", "progress"]
    assert {e.kind for e in loop.store.events() if e.epoch <= 2} <= {"seeded", "chosen"}
    assert not [e for e in loop.store.events() if e.kind == "chosen" and e.epoch < 2]
    assert [e for e in loop.store.events() if e.kind == "injected"]
    loop.store.close()
    loop = begin(make_config(2, arm="fresh", stages=stages), tmp_path / "fresh")
    assert {task.category for tasks in steps(loop) for task in tasks} == {"base"}
    loop.store.close()


def test_the_time_of_fresh_tasks_is_synthesis(tmp_path: Path) -> None:
    loop = begin(make_config(2, arm="fresh"), tmp_path)
    go(loop, 1)
    first = loop.store.meta(FRESH)
    go(loop, 9)
    loop.store.set_meta(FRESH, later := loop.store.meta(FRESH) + 7)
    assert later > first + 7 > 7
    assert summarise(loop.config, loop.store, [])["synthesis_s"] == round(later, 1)
    loop.store.close()


@pytest.fixture
def watchdog():
    """A draw that never ends fails its test instead of stopping all of them."""

    def bark(*_: object) -> None:
        raise AssertionError("no epoch is ever drawn")

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_originals_are_drawn_where_all_of_them_rest(tmp_path: Path, watchdog: None) -> None:
    """Variants retire without signal in the epoch in which all originals go to rest."""
    loop = begin(make_config(1, pool={"rest_epochs": 3, "beta": 1.0}), tmp_path / "run")
    drawn = []
    for rewards in ((0.0, 1.0), (0.0, 0.0)):
        for (task,) in steps(loop):
            loop.add_groups([GroupRewards(task.id, rewards)])
        drawn.append(loop.epoch.task_ids)
    last, originals = [task.id for (task,) in steps(loop)], {task.id for task in SEEDS}
    assert not set(drawn[1]) <= originals
    assert set(last) == originals
    assert loop.epoch.number == 2
    loop.store.close()


class RepeatingSynthesis(RenamingSynthesis):
    """Test double that makes each fresh task twice."""

    last: Task | None = None

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        self.last, task = (None, self.last) if self.last else (super().fresh(rng, epoch),) * 2
        return task


def test_a_repeated_fresh_task_is_not_used_again(tmp_path: Path) -> None:
    loop = Loop(
        make_config(2, arm="fresh"), Store(tmp_path, durable=False), SEEDS, RepeatingSynthesis()
    )
    epochs = go(loop, 8)
    drawn = [task_id for epoch in epochs for task_id in epoch.task_ids]
    assert len(set(drawn)) == len(drawn) == 16
    loop.store.close()


def test_a_small_pool_fills_a_step_by_repetition(tmp_path: Path) -> None:
    store = Store(tmp_path / "run", durable=False)
    loop = Loop(make_config(3), store, SEEDS[:2], RenamingSynthesis(SEEDS))
    counts = Counter(task.id for task in loop.next_tasks())
    assert sorted(counts.values()) == [1, 2]
    store.close()
