"""What the loop's calls refuse, each with the reason, and that nothing has changed then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from doubles import (
    SEEDS,
    RenamingSynthesis,
    begin,
    content,
    finish,
    go,
    make_config,
    make_task,
    play,
    steps,
    with_signal,
)
from rods.errors import UserError
from rods.group import GroupRewards
from rods.loop import Loop
from rods.store.store import Store


@pytest.fixture
def started(tmp_path: Path) -> tuple[Loop, list[GroupRewards]]:
    """A loop in the middle of its first epoch, and the groups that are due."""
    loop = begin(make_config(2), tmp_path / "run")
    loop.add_groups(play(loop.next_tasks(), 1))
    return loop, play(loop.next_tasks(), 2)


def with_first(**changes: object) -> Callable[[list[GroupRewards]], list[GroupRewards]]:
    return lambda groups: [groups[0]._replace(**changes), *groups[1:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda groups: [], "missing: "),
        (lambda groups: groups[:1], "missing: "),
        (lambda groups: [*groups, groups[0]], "not due: "),
        (lambda groups: [groups[0], groups[0]], "missing: .*not due: "),
        (with_first(task_id="nobody"), "not due: nobody"),
        (with_first(rewards=(0.5,)), "1 rewards of 2 rollouts; .*None for a rollout that was lost"),
        (with_first(rewards=()), "0 rewards of 2 rollouts"),
        (with_first(rewards=(0.0, 0.5, 1.0)), "3 rewards of 2 rollouts"),
        (with_first(rewards=(0.0, 9.0)), "an outcome of 9.0, which is not within"),
        (with_first(rewards=(-0.5, 0.0)), "an outcome of -0.5"),
        (with_first(rewards=(0.0, float("nan"))), "a reward of nan"),
        (with_first(rewards=(0.0, float("inf"))), "a reward of inf"),
        (with_first(rewards=(0.0, 10**400)), "a reward of 1000"),
        (with_first(rewards=np.array([0.0, 1.0])), "must be lists or tuples of numbers"),
        (with_first(rewards=(0.0, "1")), "a reward of '1'"),
        (with_first(rewards=(0.0, 2.0), outcomes=(0.0, 1.5)), "an outcome of 1.5"),
        (with_first(rewards=(0.0, 2.0), outcomes=(0.0,)), "1 outcomes for 2 rewards"),
        (with_first(rewards=(0.0, 2.0), outcomes=(0.0, float("nan"))), "an outcome of nan"),
        (with_first(rewards=(0.0, 2.0), outcomes=(0.0, None)), "an outcome of None"),
    ],
)
def test_groups_that_are_not_due(started, change, message: str) -> None:
    loop, groups = started
    before = content(loop.store), loop.step, loop.curriculum.state()
    with pytest.raises(ValueError, match=f"step 2: .*{message}"):
        loop.add_groups(change(groups))
    assert (content(loop.store), loop.step, loop.curriculum.state()) == before
    loop.add_groups(groups)
    assert loop.step == 2
    loop.store.close()


def test_shaped_rewards_want_outcomes(tmp_path: Path) -> None:
    stages = [{"reward": "format", "expand": False}]
    loop = begin(make_config(2, stages=stages), tmp_path)
    groups = [GroupRewards(task.id, (0.5, 1.0)) for task in loop.next_tasks()]
    with pytest.raises(ValueError, match="the format reward is shaped: give the progress"):
        loop.add_groups(groups)
    loop.add_groups([g._replace(rewards=[0.5, 2.0], outcomes=[0.0, 0.0]) for g in groups])
    assert [g.mean for g in loop.latest] == [0.0, 0.0]
    loop.store.close()


def test_a_group_of_another_order_is_the_same(started) -> None:
    loop, groups = started
    loop.add_groups(groups[::-1])
    assert loop.step == 2
    loop.store.close()


def test_no_step_is_due_before_an_epoch_or_after_it(tmp_path: Path) -> None:
    loop = begin(make_config(2), tmp_path)
    with pytest.raises(ValueError, match="step 1 was not begun; call next_tasks"):
        loop.add_groups([])
    with pytest.raises(ValueError, match="step 0: no epoch can end now"):
        loop.end_epoch()
    for tasks in steps(loop):
        with pytest.raises(ValueError, match="no epoch can end now"):
            loop.end_epoch()
        last = play(tasks, loop.step + 1)
        loop.add_groups(last)
    with pytest.raises(ValueError, match="step 5 was not begun"):
        loop.add_groups(last)
    loop.end_epoch()
    events = loop.store.events()
    with pytest.raises(ValueError, match="step 4: no epoch can end now"):
        loop.end_epoch()
    with pytest.raises(ValueError, match="step 5 was not begun"):
        loop.add_groups(last)
    assert loop.store.events() == events
    with pytest.raises(ValueError, match="step -1"):
        loop.load(-1)
    assert loop.store.events() == events
    loop.store.close()


@pytest.mark.parametrize("arm", ["rods", "static", "fresh"])
def test_no_seeds_are_no_run(tmp_path: Path, arm: str) -> None:
    with pytest.raises(UserError, match="no seed tasks"):
        Loop(make_config(2, arm=arm), Store(tmp_path), [], RenamingSynthesis())
    loop = begin(make_config(2, arm=arm), tmp_path / "run")
    loop.next_tasks()
    loop.store.close()


def test_seeds_that_stand_there_twice(tmp_path: Path) -> None:
    one, other = (make_task("the same", source=name) for name in ("one", "other"))
    store = Store(tmp_path)
    with pytest.raises(UserError, match="seed tasks: other is the same as one; remove one of them"):
        Loop(make_config(2), store, [*SEEDS, one, other], RenamingSynthesis())
    assert not store.has_events() and not store.tasks()
    Loop(make_config(2), store, [*SEEDS, one], RenamingSynthesis()).next_tasks()
    store.close()


class NoneOfThem(RenamingSynthesis):
    """Test double whose fresh tasks are all of one category."""

    made = 0

    def fresh(self, rng, epoch):
        self.made += 1
        return make_task(f"fresh {self.made}")


def test_a_stage_that_no_fresh_task_belongs_to(tmp_path: Path) -> None:
    config = make_config(2, arm="fresh", stages=[{"categories": ["miss_func"]}])
    loop = Loop(config, Store(tmp_path), SEEDS, NoneOfThem())
    with pytest.raises(UserError, match=r"--arm fresh: synthesis makes no new tasks.*miss_func"):
        loop.next_tasks()
    loop.store.close()


def test_a_stage_has_no_quota_for_other_categories(tmp_path: Path) -> None:
    """Quotas that nobody can fill go to others, but only those of the stage are there to give."""
    rule = {"rule": "random", "quota": 1, "redistribute": True}
    config = make_config(8, stages=[{"categories": ["base"]}], boundary=rule)
    more = [make_task(f"more {i}") for i in range(8)]
    loop = Loop(config, Store(tmp_path), [*SEEDS, *more])
    tasks = loop.next_tasks()
    assert {task.category for task in tasks} == {"base"}
    loop.add_groups(with_signal(tasks))
    assert len(loop.curriculum.selection.parents) == 1
    assert dict(loop.curriculum.selection.unfilled) == {}
    loop.store.close()


def test_a_stage_that_no_task_belongs_to_trains_and_varies_all(tmp_path: Path) -> None:
    rule = {"rule": "random"}
    config = make_config(4, stages=[{"categories": ["long_context"]}], boundary=rule)
    loop = Loop(config, Store(tmp_path), [make_task(f"seed {i}") for i in range(4)])
    loop.add_groups(with_signal(loop.next_tasks()))
    assert len(loop.curriculum.selection.parents) == 4
    loop.store.close()


def test_tasks_may_be_read_ahead_within_an_epoch(tmp_path: Path) -> None:
    loop = begin(make_config(2), tmp_path)
    ahead = [loop.next_tasks() for _ in range(6)]
    assert [len(tasks) for tasks in ahead] == [2, 2, 2, 2, 0, 0], "groups must come first"
    assert {task.id for tasks in ahead for task in tasks} == {task.id for task in SEEDS}
    for tasks in ahead[:4]:
        loop.add_groups(play(tasks, loop.step + 1))
    assert loop.next_tasks()
    assert loop.epoch.number == 1
    loop.store.close()


def test_no_tasks_beyond_the_last_step(tmp_path: Path) -> None:
    loop = begin(make_config(2), tmp_path)
    loop.until = 5
    while tasks := loop.next_tasks():
        loop.add_groups(play(tasks, loop.step + 1))
    assert loop.step == 5
    loop.load(2)
    while tasks := loop.next_tasks():
        loop.add_groups(play(tasks, loop.step + 1))
    assert loop.step == 5
    loop.store.close()


def test_a_lost_rollout_is_no_reward(started) -> None:
    loop, groups = started
    given = [groups[0]._replace(rewards=(None, 0.5)), groups[1]._replace(rewards=(None, None))]
    found = loop.add_groups(given)
    assert [(g.rewards, g.size, g.complete) for g in found] == [((0.5,), 2, False), ((), 2, False)]
    loop.store.close()


def test_a_new_loop_goes_on_where_the_store_ends(tmp_path: Path) -> None:
    """Whoever names no step loses nothing."""
    whole, loop = (begin(make_config(2), tmp_path / name) for name in ("whole", "broken"))
    go(whole, 9)
    go(loop, 7)
    loop.store.close()
    store = Store(tmp_path / "broken", durable=False)
    loop = Loop(make_config(2), store, SEEDS, RenamingSynthesis())
    assert loop.step == 7
    go(loop, 9)
    assert finish(loop) == finish(whole)
