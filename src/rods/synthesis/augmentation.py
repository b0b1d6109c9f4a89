"""What is special to the tasks of one category: one turn of their base form is split in two.

As in BFCL the first of the two is empty: the right answer to it is to call nothing. The second one
brings what was missing and carries the ground truth.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rods.grounding import Source, leaves, says, told
from rods.synthesis.case import Case, Gate
from rods.synthesis.failures import Kind, SynthesisError
from rods.synthesis.ground import as_text
from rods.synthesis.stages import Executed, Words
from rods.synthesis.withheld import replaceable
from rods.task import Call, Task, Turn


@dataclass(frozen=True)
class BaseTurn:
    """A turn that is to be split.

    Attributes:
        index: of the turn in the plan.
        before: the turns before it.
    """

    executed: Executed
    words: Words
    index: int
    before: Sequence[Turn]

    @property
    def calls(self) -> tuple[Call, ...]:
        """The ground truth of the turn."""
        return self.executed.calls[self.index]

    @property
    def seen(self) -> list[str]:
        """Everything that was said and shown before."""
        shown = [text for turn in self.executed.responses[: self.index] for text in turn]
        return [*(turn.user for turn in self.before), *shown]


def answered_early(task: Task) -> Iterator[list[list[Call]]]:
    """The calls of the turn after an empty one, made in the empty one already."""
    gold = [list(turn.ground_truth) for turn in task.turns]
    yield [
        gold[index + 1] if not calls and index + 1 < len(gold) else list(calls)
        for index, calls in enumerate(gold)
    ]


@dataclass(frozen=True)
class Augmentation:
    """How a base task becomes one of a category, and what that has to prove.

    Attributes:
        split: the empty turn and the one with the calls. Raises a `SynthesisError` of the kind
            `Kind.CONVERSATION` if this turn cannot be split.
        withholds: whether the second turn restores tools, and says nothing. They are not on offer
            before.
        word_gates: what the words of its tasks must prove, besides what those of all tasks must.
        gates: what its tasks must prove by being run; asked late, since it takes long.
        wrong: wrong answers that the reward must tell from the right one, besides those of all.
        structure: what the two turns are like, for a model that judges.
    """

    split: Callable[[BaseTurn, random.Random], tuple[Turn, Turn]]
    withholds: bool = False
    word_gates: tuple[Gate, ...] = ()
    gates: tuple[Gate, ...] = ()
    wrong: Callable[[Task], Iterator[list[list[Call]]]] = answered_early
    structure: str = ""


def without_function(base: BaseTurn, rng: random.Random) -> tuple[Turn, Turn]:
    """A request while a tool that no earlier turn needed is missing, and its restoration.

    Raises:
        SynthesisError: all its tools were needed before.
    """
    earlier = {c.name for turn in base.executed.calls[: base.index] for c in turn}
    free = sorted({c.name for c in base.calls} - earlier)
    if not free:
        raise SynthesisError(Kind.CONVERSATION, "nothing to withhold")
    restored = (rng.choice(free),)
    request = Turn(user=base.words.turn(base.index))
    return request, Turn(user="", ground_truth=base.calls, restores=restored)


def without_parameter(base: BaseTurn, rng: random.Random) -> tuple[Turn, Turn]:
    """A request with one stated value left out that nothing seen before gives away, and the value.

    Raises:
        SynthesisError: every value is given away.
    """
    gold, words, seen = base.calls, base.words, base.seen
    options = words.stated(base.index)
    rng.shuffle(options)
    for which, name in options:
        value = as_text(gold[which].arguments[name])
        request = words.turn(base.index, (which, name))
        if value and not any(says(text, value) for text in [*seen, request]):
            return Turn(user=request), Turn(user=words.answer(gold[which], name), ground_truth=gold)
    raise SynthesisError(Kind.CONVERSATION, "nothing to leave out")


def not_replaceable(case: Case) -> bool:
    """No other tool on offer does what the withheld one does."""
    return not replaceable(case.task, case.env)


def value_unknown_before(case: Case) -> bool:
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
    gates=(Gate("augment", "withheld tool replaceable", not_replaceable),),
    structure="one turn has no calls because a tool is missing, and the next turn, without words,"
    " has them",
)
MISSING_PARAMETER = Augmentation(
    without_parameter,
    word_gates=(Gate("augment", "missing value is known", value_unknown_before),),
    structure="one turn lacks a value, has no calls, and the next turn supplies it",
)
_AUGMENTATIONS = {"miss_param": MISSING_PARAMETER, "miss_func": MISSING_FUNCTION}


def register(category: str, augmentation: Augmentation) -> None:
    """Have the tasks of a category varied in a way of its own.

    Worker processes must know of it too: call this in the module of your classes, which all of them
    import.

    Raises:
        ValueError: the category has an augmentation.
    """
    if category in _AUGMENTATIONS:
        raise ValueError(f"category {category!r} has an augmentation; choose another name")
    _AUGMENTATIONS[category] = augmentation


def augmentation_of(category: str) -> Augmentation | None:
    """That of a category; None if its tasks are as plain as those of the base."""
    return _AUGMENTATIONS.get(category)


def structures() -> dict[str, str]:
    """What the tasks of each category are like, for a model that judges."""
    return {name: found.structure for name, found in _AUGMENTATIONS.items() if found.structure}
