"""Stage V, augment: a base task becomes one with a missing tool, a missing value, or long context.

As BFCL builds them: one turn is split into an empty one, in which the right answer is to call
nothing, and one that brings what was missing and carries the ground truth.
"""

from __future__ import annotations

import random

from rods.synthesis.execute import Executed, SynthesisError
from rods.synthesis.ground import Wording, noun, say, says
from rods.task import Call, Category, Turn


def augment(
    executed: Executed, wording: Wording, rng: random.Random
) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """Turns with their words, and the withheld tools.

    Raises:
        SynthesisError: nothing in the planned turn can be withheld.
    """
    plan, calls = executed.plan, executed.calls
    split = plan.augmented
    turns: list[Turn] = []
    withheld: tuple[str, ...] = ()
    for index, gold in enumerate(calls):
        if index != split:
            turns.append(Turn(user=wording.turn(index), ground_truth=gold))
        elif plan.category is Category.MISS_FUNC:
            earlier = {c.name for turn in calls[:index] for c in turn}
            free = sorted({c.name for c in gold} - earlier)
            if not free:
                raise SynthesisError("nothing to withhold")
            withheld = (rng.choice(free),)
            turns.append(Turn(user=wording.turn(index)))
            turns.append(Turn(user="", ground_truth=gold, restores=withheld))
        else:
            seen = [turn.user for turn in turns]
            seen += [text for turn in executed.responses[:index] for text in turn]
            turns += _asked_and_told(gold, wording, index, seen, rng)
    return tuple(turns), withheld


def _asked_and_told(
    gold: tuple[Call, ...], wording: Wording, index: int, seen: list[str], rng: random.Random
) -> list[Turn]:
    """A request with one stated value left out that nothing seen before gives away, and the value.

    Args:
        seen: everything that was said and shown before this turn.
    """
    options = wording.stated(index)
    rng.shuffle(options)
    for which, name in options:
        value = say(gold[which].arguments[name])
        request = wording.turn(index, (which, name))
        if value and not any(says(text, value) for text in [*seen, request]):
            told = f"the {noun(gold[which].name, name)} is {value}"
            return [Turn(user=request), Turn(user=told, ground_truth=gold)]
    raise SynthesisError("nothing to leave out")
