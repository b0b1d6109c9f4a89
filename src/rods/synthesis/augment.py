"""Stage V, augment: a base task becomes one with a missing tool, a missing value, or long context.

As BFCL builds them: one turn is split into an empty one, in which the right answer is to call
nothing, and one that brings what was missing and carries the ground truth.
"""

from __future__ import annotations

import random
import re

from rods.synthesis.execute import Executed, SynthesisError
from rods.synthesis.ground import Wording, noun, say
from rods.task import Category, Turn


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
            which, name = _missing(executed, wording, index, rng)
            turns.append(Turn(user=wording.turn(index, (which, name))))
            value = say(gold[which].arguments[name])
            text = f"the {noun(gold[which].name, name)} is {value}"
            turns.append(Turn(user=text, ground_truth=gold))
    return tuple(turns), withheld


def _missing(
    executed: Executed, wording: Wording, index: int, rng: random.Random
) -> tuple[int, str]:
    """A stated value of the turn that stands nowhere else that the agent has seen."""
    seen = "\n".join(
        [wording.turn(i) for i in range(index)]
        + [text for turn in executed.responses[:index] for text in turn]
    )
    gold = executed.calls[index]
    options = []
    for which, name in wording.stated(index):
        value = say(gold[which].arguments[name])
        rest = wording.turn(index, (which, name))
        if value and not _says(seen, value) and not _says(rest, value):
            options.append((which, name))
    if not options:
        raise SynthesisError("nothing to leave out")
    return rng.choice(options)


def _says(text: str, value: str) -> bool:
    """Whether a value stands in a text as a whole, not within another word or number."""
    return re.search(rf"(?<![\w.]){re.escape(value)}(?![\w.])", text) is not None
