"""BFCL's two augmentations: a tool is withheld for a turn, or a value is left out and told later.

That what is missing was needed, and could not be had otherwise, is proved by their gates.
"""

from __future__ import annotations

import random

from rods.provenance import Source, leaves, says, told
from rods.synthesis.augmentation import Augmentation, Moment
from rods.synthesis.case import Case, Gate
from rods.synthesis.failures import Kind, SynthesisError
from rods.synthesis.ground import say
from rods.synthesis.withheld import replaceable
from rods.task import Turn


def without_function(moment: Moment, rng: random.Random) -> tuple[Turn, Turn]:
    """A request while a tool that no earlier turn needed is missing, and its restoration.

    Raises:
        SynthesisError: all its tools were needed before.
    """
    earlier = {c.name for turn in moment.executed.calls[: moment.index] for c in turn}
    free = sorted({c.name for c in moment.calls} - earlier)
    if not free:
        raise SynthesisError(Kind.CONVERSATION, "nothing to withhold")
    restored = (rng.choice(free),)
    request = Turn(user=moment.words.turn(moment.index))
    return request, Turn(user="", ground_truth=moment.calls, restores=restored)


def without_parameter(moment: Moment, rng: random.Random) -> tuple[Turn, Turn]:
    """A request with one stated value left out that nothing seen before gives away, and the value.

    Raises:
        SynthesisError: every value is given away.
    """
    gold, words, seen = moment.calls, moment.words, moment.seen
    options = words.stated(moment.index)
    rng.shuffle(options)
    for which, name in options:
        value = say(gold[which].arguments[name])
        request = words.turn(moment.index, (which, name))
        if value and not any(says(text, value) for text in [*seen, request]):
            return Turn(user=request), Turn(user=words.told(gold[which], name), ground_truth=gold)
    raise SynthesisError(Kind.CONVERSATION, "nothing to leave out")


def irreplaceable(case: Case) -> bool:
    """No other tool on offer does what the withheld one does."""
    return not replaceable(case.task, case.env)


def missing(case: Case) -> bool:
    """What a missing parameter's turn lacks is told in the next turn and nowhere before."""
    task = case.task
    index = next(i for i, turn in enumerate(task.turns) if not turn.ground_truth)
    before = "\n".join(turn.user for turn in task.turns[: index + 1])
    shown = "\n".join(t for turn in case.gold.responses[: index + 1] for t in turn)
    first = sum(len(turn.ground_truth) for turn in task.turns[: index + 1])
    told_now = [
        (value, name)
        for offset, call in enumerate(task.turns[index + 1].ground_truth)
        for name, value in call.arguments.items()
        if name in case.tools[call.name].required
        and case.sources[first + offset][name] is Source.HERE
    ]
    return any(
        not told(leaf, before) and not told(leaf, shown)
        for value, _ in told_now
        for leaf in leaves(value)
    )


MISSING_FUNCTION = Augmentation(
    without_function,
    withholds=True,
    gates=(Gate("augment", "withheld tool replaceable", irreplaceable),),
    structure="one turn has no calls because a tool is missing, and the next turn, without words,"
    " has them",
)
MISSING_PARAMETER = Augmentation(
    without_parameter,
    word_gates=(Gate("augment", "missing value is known", missing),),
    structure="one turn lacks a value, has no calls, and the next turn supplies it",
)
