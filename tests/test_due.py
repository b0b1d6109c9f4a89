"""What the loop's calls refuse, each with the reason, and that nothing has changed then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from doubles import SEEDS, RenamingSynthesis, begin, content, make_config, make_task, play
from rods.errors import UserError
from rods.group import Group
from rods.loop import Epoch, Loop
from rods.store.store import Store


@pytest.fixture
def started(tmp_path: Path) -> tuple[Loop, Epoch, list[Group]]:
    """A loop in the middle of its first epoch, and the groups that are due."""
    loop = begin(make_config(2), tmp_path / "run")
    epoch = loop.next_epoch()
    steps = list(loop.steps(epoch))
    loop.observe(play(steps[0], 0, 1))
    return loop, epoch, play(steps[1], 0, 2)


def with_first(**changes: object) -> Callable[[list[Group]], list[Group]]:
    return lambda groups: [replace(groups[0], **changes), *groups[1:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda groups: [], "missing: "),
        (lambda groups: groups[:1], "missing: "),
        (lambda groups: [*groups, groups[0]], "not due: "),
        (lambda groups: [groups[0], groups[0]], "missing: .*not due: "),
        (with_first(task_id="nobody"), "not due: nobody"),
        (with_first(step=3), "step is 3, not 2"),
        (with_first(step=1), "step is 1, not 2"),
        (with_first(epoch=1), "epoch is 1, not 0"),
        (with_first(category="other"), "category is 'other', not "),
        (with_first(size=3), "size is 3, not 2"),
        (with_first(rewards=(0.5,), size=0), "size is 1, not 2; give size"),
        (with_first(rewards=(0.0, 0.5, 1.0)), "3 rewards of 2 rollouts"),
        (with_first(rewards=(0.0, 9.0)), "an outcome of 9.0, which is not within"),
        (with_first(rewards=(-0.5, 0.0)), "an outcome of -0.5"),
        (with_first(rewards=(0.0, float("nan"))), "a reward of nan"),
        (with_first(rewards=(0.0, float("inf"))), "a reward of inf"),
        (with_first(rewards=(0.0, None)), "a reward of None"),
        (with_first(rewards=(0.0, 10**400)), "a reward of 1000"),
        (with_first(rewards=np.array([0.0, 1.0])), "must be tuples of numbers"),
        (with_first(rewards=(0.0, "1")), "a reward of '1'"),
        (with_first(rewards=(0.0, 2.0), outcomes=(0.0, 1.5)), "an outcome of 1.5"),
        (with_first(rewards=(0.0, 2.0), outcomes=(0.0,)), "1 outcomes for 2 rewards"),
        (with_first(rewards=(0.0, 2.0), outcomes=(0.0, float("nan"))), "an outcome of nan"),
    ],
)
def test_groups_that_are_not_due(started, change, message: str) -> None:
    loop, _, groups = started
    before = content(loop.store), loop.step, loop.pool.chosen.copy()
    with pytest.raises(ValueError, match=f"step 2: .*{message}"):
        loop.observe(change(groups))
    assert (content(loop.store), loop.step, loop.pool.chosen) == before
    loop.observe(groups)
    assert loop.step == 2
    loop.store.close()


def test_shaped_rewards_want_outcomes(tmp_path: Path) -> None:
    stages = [{"reward": "format", "expand": False}]
    loop = begin(make_config(2, stages=stages), tmp_path)
    tasks = next(loop.steps(loop.next_epoch()))
    groups = [Group(t.id, t.category, (0.5, 1.0), 0, 1, 2) for t in tasks]
    with pytest.raises(ValueError, match="the format reward is shaped: give the progress"):
        loop.observe(groups)
    loop.observe([replace(g, rewards=(0.5, 2.0), outcomes=(0.0, 0.0)) for g in groups])
    assert [g.mean for g in loop.latest] == [0.0, 0.0]
    loop.store.close()


def test_a_group_of_another_order_is_the_same(started) -> None:
    loop, _, groups = started
    loop.observe(groups[::-1])
    assert loop.step == 2
    loop.store.close()


def test_no_step_is_due_before_an_epoch_or_after_it(tmp_path: Path) -> None:
    loop = begin(make_config(2), tmp_path)
    with pytest.raises(ValueError, match="no step is due: none was drawn"):
        loop.observe([])
    with pytest.raises(ValueError, match="no epoch can end now: none was drawn"):
        loop.end_epoch()
    epoch = loop.next_epoch()
    with pytest.raises(ValueError, match="no epoch can end now: 0 of 8 tasks of epoch 0"):
        loop.end_epoch()
    for tasks in loop.steps(epoch):
        last = play(tasks, 0, loop.step + 1)
        loop.observe(last)
    with pytest.raises(ValueError, match="no step is due: 8 of 8 tasks"):
        loop.observe(last)
    loop.end_epoch()
    events = loop.store.events()
    with pytest.raises(ValueError, match="no epoch can end now: epoch 0 has ended"):
        loop.end_epoch()
    with pytest.raises(ValueError, match="no step is due: epoch 0 has ended"):
        loop.observe(last)
    assert loop.store.events() == events
    with pytest.raises(ValueError, match="step -1"):
        loop.resume(-1)
    assert loop.store.events() == events
    loop.store.close()


@pytest.mark.parametrize("arm", ["rods", "static", "fresh"])
def test_no_seeds_are_no_run(tmp_path: Path, arm: str) -> None:
    with pytest.raises(UserError, match="no seeds"):
        Loop(make_config(2, arm=arm), Store(tmp_path), [], RenamingSynthesis())
    loop = begin(make_config(2, arm=arm), tmp_path / "run")
    loop.next_epoch()
    loop.store.close()


def test_seeds_that_stand_there_twice(tmp_path: Path) -> None:
    one, other = (make_task("the same", source=name) for name in ("one", "other"))
    store = Store(tmp_path)
    with pytest.raises(UserError, match="seeds: other is the same task as one; remove one of them"):
        Loop(make_config(2), store, [*SEEDS, one, other], RenamingSynthesis())
    assert not store.has_events() and not store.tasks()
    Loop(make_config(2), store, [*SEEDS, one], RenamingSynthesis()).next_epoch()
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
        loop.next_epoch()
    loop.store.close()


def test_a_stage_has_no_quota_for_other_categories(tmp_path: Path) -> None:
    """Quotas that nobody can fill go to others, but only those of the stage are there to give."""
    rule = {"rule": "random", "quota": 1, "redistribute": True}
    config = make_config(8, stages=[{"categories": ["base"]}], boundary=rule)
    more = [make_task(f"more {i}") for i in range(8)]
    loop = Loop(config, Store(tmp_path), [*SEEDS, *more])
    tasks = next(loop.steps(loop.next_epoch()))
    assert {task.category for task in tasks} == {"base"}
    loop.observe([Group(t.id, t.category, (0.0, 1.0), 0, 1, 2) for t in tasks])
    assert len(loop.buffer.selection.seeds) == 1
    assert dict(loop.buffer.selection.unfilled) == {}
    loop.store.close()


def test_a_stage_that_no_task_belongs_to_trains_and_varies_all(tmp_path: Path) -> None:
    rule = {"rule": "random"}
    config = make_config(4, stages=[{"categories": ["long_context"]}], boundary=rule)
    loop = Loop(config, Store(tmp_path), [make_task(f"seed {i}") for i in range(4)])
    tasks = next(loop.steps(loop.next_epoch()))
    loop.observe([Group(t.id, t.category, (0.0, 1.0), 0, 1, 2) for t in tasks])
    assert len(loop.buffer.selection.seeds) == 4
    loop.store.close()
