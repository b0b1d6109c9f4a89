"""Walks for a person's few seed tasks, so that their variants use other tools too.

Variants replace calls that depend on each other by calls that depend on each other in the same way
in some seed task. A single seed task has only its own. The walks show others, from its own start
state; its structure is kept, and the gates are the same.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from rods.envs.bfcl import BfclEnvironment
from rods.envs.guard import guard
from rods.errors import UserError
from rods.synthesis.cold.ladder import LADDER
from rods.synthesis.cold.planner import walks
from rods.synthesis.cold.trial import survey
from rods.synthesis.cold.walk import Walker
from rods.task import Task

if TYPE_CHECKING:
    from rods.synthesis.inputs import SynthesisInputs

FEW = 4  # seed tasks with different calls; more show enough themselves
WALKS = 60  # tried for each rung of the ladder


def walks_of_few(inputs: SynthesisInputs) -> list[Task]:
    """Walks from the start states of the seed tasks; none if there are enough seed tasks."""
    kinds = {tuple(call.name for call in seed.calls) for seed in inputs.seeds if seed.calls}
    if not 0 < len(kinds) < FEW or isinstance(inputs.env, BfclEnvironment):
        return []
    env, ranges = guard(inputs.env), inputs.learned.ranges
    starts = [seed.model_copy(update={"turns": (), "record": ()}) for seed in inputs.seeds]
    try:
        walker = Walker(env, survey(env, inputs.tools, starts, ranges), ranges)
        found = walks(walker, starts, LADDER, WALKS, random.Random("walks"))
        return list({task.id: task for task in found}.values())
    except UserError:  # no call succeeds; the seed tasks alone have to do
        return []
    finally:
        if env is not inputs.env:
            env.close()
