"""Stage V, augment: a base task becomes a task of its category, and the reverse.

What a category changes is in `augmentation`; most categories change nothing.
"""

from __future__ import annotations

import random
from typing import Any

from rods.reward import record_of
from rods.synthesis.augmentation import BaseTurn, augmentation_of
from rods.synthesis.stages import Executed, Words
from rods.task import Task, Turn


def augment(executed: Executed, words: Words, environment: str, rng: random.Random) -> Task:
    """The task, with its words and its withheld tools.

    Raises:
        SynthesisError: the planned turn cannot be split.
    """
    plan, calls = executed.plan, executed.calls
    found = augmentation_of(plan.category)
    turns: list[Turn] = []
    withheld: tuple[str, ...] = ()
    for index, gold in enumerate(calls):
        if found is None or index != plan.augmented:
            turns.append(Turn(user=words.turn(index), ground_truth=gold))
        else:
            request, answer = found.split(BaseTurn(executed, words, index, tuple(turns)), rng)
            turns += request, answer
            withheld = answer.restores
    return Task(
        category=plan.category,
        classes=plan.classes,
        start=executed.start,
        turns=tuple(turns),
        withheld=withheld,
        system=plan.system,
        environment=environment,
        parent=plan.parent,
        note=plan.note,
        record=_record(executed),
    )


def base_form(task: Task) -> tuple[Task, int | None]:
    """The task without what augmentation added to it, and the index of the turn it split.

    The words of the split turn are those of the request and of the answer.
    """
    found = augmentation_of(task.category)
    for index, turn in enumerate(task.turns[:-1]):
        if found is None or turn.ground_truth:
            continue
        following = task.turns[index + 1]
        if following.ground_truth and (following.restores or not found.withholds):
            user = f"{turn.user} {following.user}".strip()
            whole = turn.model_copy(update={"user": user, "ground_truth": following.ground_truth})
            turns = (*task.turns[:index], whole, *task.turns[index + 2 :])
            changes: dict[str, Any] = {"turns": turns, "withheld": (), "record": ()}
            return task.model_copy(update=changes), index
    return task, None


def _record(executed: Executed) -> tuple[str, ...]:
    """Digests of the execution, with an entry for the empty turn of the split."""
    if not executed.digests:
        return ()
    rows = list(zip(executed.responses, executed.digests[1:], strict=True))
    if (split := executed.plan.augmented) is not None:
        rows.insert(split, ((), executed.digests[split]))
    return record_of(rows)
