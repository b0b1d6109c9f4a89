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
from rods.group import Group, GroupRewards, signal_share
from rods.loop import Loop
from rods.reward import progress
from rods.scoring import score
from rods.store.store import Store
from rods.synthesis.inputs import benchmark_inputs
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


def main(epochs: int = 8) -> None:
    """Train for some epochs and print a line for each."""
    rng, env, skill = random.Random(0), BfclEnvironment(), 0.6
    world = benchmark_inputs()
    seeds = random.Random(1).sample(world.seeds, CONFIG.pool.seeds)
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(CONFIG, Store(Path(folder)), seeds, world.pipeline())
        seen, variants = list[Group](), 0
        while True:
            tasks = loop.next_tasks()  # where an epoch has ended: retire, synthesise, inject
            groups = loop.add_groups([group_of(task, skill, env, rng) for task in tasks])
            if seen and groups[0].epoch > seen[0].epoch:
                show(seen, variants)
                seen, variants = [], 0
                if groups[0].epoch == epochs:
                    return
            seen += groups
            variants += sum(task.synthetic for task in tasks)
            skill = min(0.97, skill + 0.02 * signal_share(groups))  # "training"


def group_of(task: Task, skill: float, env: BfclEnvironment, rng: random.Random) -> GroupRewards:
    """K episodes of a task."""
    size = CONFIG.rollout.group_size
    return GroupRewards(task.id, [play(task, skill, env, rng) for _ in range(size)])


def show(seen: list[Group], variants: int) -> None:
    """A line for an epoch."""
    mean = sum(group.mean for group in seen) / len(seen)
    print(
        f"epoch {seen[0].epoch}: {len(seen)} groups, {variants} of them of variants;"
        f" mean progress {mean:.2f}, with signal {signal_share(seen):.0%}"
    )


if __name__ == "__main__":
    main()
