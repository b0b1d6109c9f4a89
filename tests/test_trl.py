"""What the real trainer is given: rewards by name, and nothing of what the environment lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from fragile import Fragile
from rods.group import Signal
from rods.rollout.episode import Ending
from small_training import Harness


def stages(reward: str) -> dict[str, Any]:
    return {"stages": [{"reward": reward}]}


def test_a_group_that_is_trained_on_equal_rewards_has_no_signal(
    tools: Fragile, tmp_path: Path
) -> None:
    """Two rollouts get a half of the way, and no rollout completes the task."""
    scripts = [tools.right(turns) for turns in (0, 1, 1, 0)]
    tasks = [tools.task(name) for name in ("one", "two")]
    made = Harness(tools, tasks, scripts, tmp_path / "run", **stages("binary"))
    changed = made.train()
    assert [r.progress for r in made.rollouts[0]] == [0.0, 0.5, 0.5, 0.0] * 2
    for group in made.store.groups():
        assert (group.rewards, group.verified) == ((0.0,) * 4, (0.0,) * 4)
        assert group.signal is Signal.ALL_FAILED
        assert made.loop.curriculum.rule.standing(group.task_id, 0).no_signal
    assert not made.loop.curriculum.selection.parents, "a group without signal is varied"
    assert changed == set()


@pytest.mark.parametrize("reward", ["progress", "format"])
def test_the_boundary_reads_the_progress(tools: Fragile, tmp_path: Path, reward: str) -> None:
    scripts = [tools.right(turns) for turns in (0, 1, 2, 0)]
    made = Harness(tools, [tools.task("one")], scripts, tmp_path / "run", **stages(reward))
    assert made.train()
    (group,) = made.store.groups()
    progress, shaped = (0.0, 0.5, 1.0, 0.0), (0.0, 2.0, 2.0, 0.0)
    assert group.rewards == (progress if reward == "progress" else shaped)
    assert group.verified == progress
    assert (group.signal, group.mean) == (Signal.SIGNAL, 0.375)


def test_a_shaped_reward_decides_no_boundary(tools: Fragile, tmp_path: Path) -> None:
    """All rollouts fail the task, and the format reward still differs between them."""
    wrong = tools.renderer.write([tools.task("x").calls[0].model_copy(update={"arguments": {}})])
    done = tools.renderer.write([])
    scripts = [[done, done], [wrong, done, wrong, done]]
    made = Harness(tools, [tools.task("one")], scripts, tmp_path / "run", **stages("format"))
    assert made.train(), "it was trained on"
    (group,) = made.store.groups()
    assert group.signal is Signal.SIGNAL
    assert (group.mean, group.variance) == (0.0, 0.0)
    assert not made.loop.curriculum.selection.parents


def test_what_the_environment_lost_is_not_trained_on(tools: Fragile, tmp_path: Path) -> None:
    """The second of four rollouts is lost; the advantages are those of the other three."""
    tools.mark("fail-2")  # the first start is the ground truth's
    scripts = [tools.right(turns) for turns in (2, 2, 1, 0)]
    made = Harness(tools, [tools.task("one")], scripts, tmp_path / "run")
    assert made.train()
    lost = [r.ending is Ending.ENVIRONMENT_FAILURE for r in made.rollouts[0]]
    assert lost == [False, True, False, False]
    (group,) = made.store.groups()
    assert group.rewards == (1.0, 0.5, 0.0)
    assert group.signal is Signal.INCOMPLETE
    rewards = torch.tensor([1.0, 0.5, 0.0])
    wanted = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
    (given,) = made.advantages
    found = sorted(given.tolist())
    assert found == pytest.approx(sorted([*wanted.tolist(), 0.0]), abs=1e-5)


def test_a_group_that_the_environment_lost_teaches_nothing(tools: Fragile, tmp_path: Path) -> None:
    for number in range(20):
        tools.mark(f"fail-{number}")
    scripts = [tools.right(turns) for turns in (2, 0)]
    sections = {"pool": {"rest_epochs": 1}}
    made = Harness(tools, [tools.task("one")], scripts, tmp_path / "run", steps=9, **sections)
    assert made.train()
    assert {r.ending for r in made.rollouts[0]} == {Ending.ENVIRONMENT_FAILURE}
    assert all("the database is away" in r.failure for r in made.rollouts[0])
    assert all("task one" in r.failure for r in made.rollouts[0])
    groups = made.store.groups()
    assert groups[0].rewards == () and groups[-1].rewards == (1.0, 0.0)
    assert {e.kind for e in made.store.events()} <= {"seeded", "chosen"}, "it was called too hard"
