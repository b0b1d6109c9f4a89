"""Held-out measurements: how they are sampled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import create_autospec

import pytest

from doubles import make_config
from fragile import Fragile
from replay import Replay
from rods.evaluate import HeldOut
from rods.lead import Watch
from rods.policies.tasks import TaskSides
from rods.rollout.policy import Generation, Sampling
from rods.rollout.runner import Runner
from rods.store.store import Store


class Noting(Replay):
    """Test double: also notes at which temperatures it was asked."""

    temperatures: set[float]

    async def generate(self, ids: Sequence[int], sampling: Sampling) -> Generation:
        self.temperatures.add(sampling.temperature)
        return await super().generate(ids, sampling)


@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_they_have_a_temperature_of_their_own(
    tools: Fragile, tmp_path: Path, temperature: float
) -> None:
    policy, task = Noting([tools.right()]), tools.task("one")
    policy.temperatures = set()
    config = make_config(2, evaluation={"temperature": temperature})
    runner = Runner(tools.env, tools.renderer, sampling=Sampling(16, 0.7))
    sides = TaskSides((), (task,), (), tools.env, {})
    store = Store(tmp_path)
    held_out = HeldOut(
        config, store, runner, sides, lambda seed, step: policy, create_autospec(Watch)
    )
    held_out.measure("validation", 3)
    assert policy.temperatures == {temperature}
    assert held_out.latest["validation/complete"] == 1.0
    runner.run([task], policy)
    assert policy.temperatures == {temperature, 0.7}, "training keeps its own"
    store.close()
