"""Short dialogues that teach the policy the call grammar and copying, and little else.

Most have one or two turns of one call, the others up to three turns of one or two. They are made
by program over the training seeds' start states, and none has the calls of a training, validation
or test task.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from rods.micro.dialect import MicroDialect
from rods.micro.tasks import MAX_TOKENS, demonstration
from rods.synthesis.critique import signature
from rods.synthesis.execute import SynthesisError
from rods.synthesis.pipeline import Program
from rods.synthesis.plan import plan_fresh
from rods.task import Category, Task

CATEGORIES = (Category.BASE, Category.BASE, Category.MISS_FUNC, Category.MISS_PARAM)


def short_dialogues(
    program: Program,
    dialect: MicroDialect,
    forbidden: set[str],
    longer: float,
    rng: random.Random,
) -> Iterator[tuple[list[int], list[bool]]]:
    """Endless (token ids, which of them the agent writes).

    Args:
        longer: share of dialogues with up to three turns of one or two calls.
        forbidden: signatures of the tasks that must not appear.
    """
    while True:
        task = _dialogue(program, longer, rng)
        if task is None or signature(task) in forbidden:
            continue
        ids, mask = demonstration(task, program.env, dialect)
        if len(ids) <= MAX_TOKENS:
            yield ids, mask


def _dialogue(program: Program, longer: float, rng: random.Random) -> Task | None:
    if rng.random() < longer:
        sizes = [rng.randint(1, 2) for _ in range(rng.randint(1, 3))]
    else:
        sizes = [1] * rng.randint(1, 2)
    category = rng.choice(CATEGORIES)
    if category is Category.BASE and rng.random() < 0.3:
        category = Category.LONG_CONTEXT
    split = rng.randrange(len(sizes)) if category.value.startswith("miss") else None
    classes = rng.choice(program.seeds).classes
    plan = plan_fresh(classes, sizes, category, program.graph, rng, split)
    try:
        return program.compose(plan, program.new_start(classes, rng), rng)
    except SynthesisError:
        return None
