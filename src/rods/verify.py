"""Re-admits tasks: every gate, from the tasks alone (`rods verify`)."""

from __future__ import annotations

from collections.abc import Sequence

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, split
from rods.synthesis.critique import Critic
from rods.task import Task


def verify_tasks(tasks: Sequence[Task], parents: Sequence[Task] = ()) -> dict[str, str]:
    """Task id -> the gate that refuses it, or "".

    Parents are looked for among the given tasks, `parents` and the benchmark's tasks.
    """
    sides = split()
    held_out = [t for name, t in benchmark_tasks().items() if sides[name] != "train"]
    critic = Critic(BfclEnvironment(), held_out)
    known = {task.id: task for task in (*benchmark_tasks().values(), *parents, *tasks)}
    outcomes: dict[str, str] = {}
    for task in tasks:
        outcomes[task.id] = critic.review(task, known.get(task.parent))
        critic.known.add(task.id)
    return outcomes
