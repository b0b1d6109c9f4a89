"""The whole idea in one file, without a model: real tasks, rewards, boundary, synthesis and pool.

A stand-in plays the agent: it answers each turn rightly with a probability that falls with the
number of calls, and it gets better where the rewards of a group differ, as GRPO would. Run it:

    python examples/loop.py
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from rods.config import Config
from rods.envs.bfcl import BfclEnvironment
from rods.group import Group, signal_share
from rods.loop import Loop
from rods.reward import progress, score
from rods.store.store import Store
from rods.synthesis.world import benchmark_world
from rods.task import Task

CONFIG = Config.model_validate(
    {
        "rollout": {"group_size": 8, "tasks_per_step": 8},
        "boundary": {"rule": "variance", "quota": 2, "cooldown": 2},
        "pool": {"seeds": 24, "p_max": 24, "beta": 0.25},
        "synthesis": {"mode": "inline"},
    }
)


def play(task: Task, skill: float, env: BfclEnvironment, rng: random.Random) -> float:
    """One episode of the stand-in: the progress reward of what it called."""
    answer = [
        turn.ground_truth if rng.random() < skill ** max(1, len(turn.ground_truth)) else ()
        for turn in task.turns
    ]
    return progress(list(score(task, env, answer)), len(task.turns))


def main(epochs: int = 5) -> None:
    """Run a few epochs and say what happened in each."""
    rng, env, skill = random.Random(0), BfclEnvironment(), 0.6
    world = benchmark_world()
    seeds = random.Random(1).sample(world.seeds, CONFIG.pool.seeds)
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(CONFIG, Store(Path(folder)), seeds, world.pipeline())
        for _ in range(epochs):
            epoch = loop.next_epoch()
            seen: list[Group] = []
            for tasks in loop.steps(epoch):
                groups = [
                    Group(
                        task_id=task.id,
                        category=task.category,
                        rewards=tuple(
                            play(task, skill, env, rng) for _ in range(CONFIG.rollout.group_size)
                        ),
                        epoch=epoch.index,
                        step=loop.step + 1,
                    )
                    for task in tasks
                ]
                loop.observe(groups)  # the boundary is read off here
                skill = min(0.97, skill + 0.02 * signal_share(groups))  # "training"
                seen += groups
            events = loop.end_epoch()  # retire, synthesise, inject
            injected = sum(event.kind == "injected" for event in events)
            retired = sum(event.kind == "retired" for event in events)
            mean = sum(group.mean for group in seen) / len(seen)
            print(
                f"epoch {epoch.index}: {len(seen)} groups, mean progress {mean:.2f},"
                f" with signal {signal_share(seen):.0%}; injected {injected}, retired {retired}"
            )


if __name__ == "__main__":
    main()
