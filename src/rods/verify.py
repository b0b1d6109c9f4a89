"""Re-admits tasks: every gate, from the tasks alone (`rods verify`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rods.synthesis.world import SynthesisInputs
from rods.task import Task


def verify_tasks(
    tasks: Sequence[Task], world: SynthesisInputs, parents: Sequence[Task] = ()
) -> Iterator[tuple[str, str]]:
    """For each task its id and the gate that refuses it, or "".

    Parents are looked for among the given tasks, `parents` and the world's own.
    """
    critic = world.critic()
    known = {task.id: task for task in (*world.tasks, *parents, *tasks)}
    for task in tasks:
        if task.environment != world.env.name:
            yield task.id, f"another environment: {task.environment[:80]}"
            continue
        fault = critic.review(task, known.get(task.parent))
        if not fault:
            critic.admit(task)
        yield task.id, fault
