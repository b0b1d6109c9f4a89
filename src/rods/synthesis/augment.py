"""Stage V, augment: a base task becomes one with a missing tool, a missing value, or long context.

As BFCL builds them: one turn is split into an empty one, in which the right answer is to call
nothing, and one that brings what was missing and carries the ground truth. That what is missing was
needed, and could not be had otherwise, is proved by the gates.
"""

from __future__ import annotations

import random

from rods.grounding import says
from rods.reward import record_of
from rods.synthesis.draft import Executed, Words
from rods.synthesis.failures import Kind, SynthesisError
from rods.synthesis.ground import say
from rods.task import Call, Category, Task, Turn


def augment(executed: Executed, words: Words, environment: str, rng: random.Random) -> Task:
    """The task, with its words and what is withheld.

    Raises:
        SynthesisError: nothing in the planned turn can be withheld.
    """
    plan, calls = executed.plan, executed.calls
    turns: list[Turn] = []
    withheld: tuple[str, ...] = ()
    for index, gold in enumerate(calls):
        if index != plan.augmented:
            turns.append(Turn(user=words.turn(index), ground_truth=gold))
        elif plan.category is Category.MISS_FUNC:
            earlier = {c.name for turn in calls[:index] for c in turn}
            free = sorted({c.name for c in gold} - earlier)
            if not free:
                raise SynthesisError(Kind.CONVERSATION, "nothing to withhold")
            withheld = (rng.choice(free),)
            turns.append(Turn(user=words.turn(index)))
            turns.append(Turn(user="", ground_truth=gold, restores=withheld))
        else:
            seen = [turn.user for turn in turns]
            seen += [text for turn in executed.responses[:index] for text in turn]
            turns += _asked_and_told(gold, words, index, seen, rng)
    return Task(
        category=plan.category,
        classes=plan.classes,
        start=executed.start,
        turns=tuple(turns),
        withheld=withheld,
        environment=environment,
        parent=plan.parent,
        record=_record(executed),
    )


def _asked_and_told(
    gold: tuple[Call, ...], words: Words, index: int, seen: list[str], rng: random.Random
) -> list[Turn]:
    """A request with one stated value left out that nothing seen before gives away, and the value.

    Args:
        seen: everything that was said and shown before this turn.
    """
    options = words.stated(index)
    rng.shuffle(options)
    for which, name in options:
        value = say(gold[which].arguments[name])
        request = words.turn(index, (which, name))
        if value and not any(says(text, value) for text in [*seen, request]):
            told = words.told(gold[which], name)
            return [Turn(user=request), Turn(user=told, ground_truth=gold)]
    raise SynthesisError(Kind.CONVERSATION, "nothing to leave out")


def _record(executed: Executed) -> tuple[str, ...]:
    """Digests of the execution, with an entry for the empty turn of the split."""
    if not executed.digests:
        return ()
    rows = list(zip(executed.responses, executed.digests[1:], strict=True))
    if (split := executed.plan.augmented) is not None:
        rows.insert(split, ((), executed.digests[split]))
    return record_of(rows)
