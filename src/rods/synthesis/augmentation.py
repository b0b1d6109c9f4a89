"""Augmentations by category: one turn of a task's base form is split in two.

As in BFCL the first of the two turns is empty: the right answer to it is to make no call. The
second one supplies what was missing and has the ground truth. BFCL has two augmentations: a tool is
withheld for a turn, or a value is left out and given in the next turn. Their gates prove that the
tool or value was needed and was available nowhere else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rods.flows import readable
from rods.grounding import occurs, says
from rods.provenance import Source, leaves
from rods.synthesis.case import Case, Gate
from rods.synthesis.failures import Kind, SynthesisError
from rods.synthesis.ground import as_text
from rods.synthesis.stages import Executed, Words
from rods.synthesis.withheld import replaceable
from rods.task import Call, Task, Turn


@dataclass(frozen=True)
class BaseTurn:
    """A turn of the base form, to be split.

    Attributes:
        words: the user's words for the plan.
        index: of the turn in the plan.
        before: the finished turns before it.
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
        """All words of the user and all responses before this turn."""
        shown = [text for turn in self.executed.responses[: self.index] for text in turn]
        return [*(turn.user for turn in self.before), *shown]


def answered_early(task: Task) -> Iterator[list[list[Call]]]:
    """A wrong answer: the empty turn already has the calls of the next one."""
    gold = [list(turn.ground_truth) for turn in task.turns]
    yield [
        gold[index + 1] if not calls and index + 1 < len(gold) else list(calls)
        for index, calls in enumerate(gold)
    ]


@dataclass(frozen=True)
class Augmentation:
    """How a base task becomes a task of a category, and the additional gates for it.

    Attributes:
        split: returns the empty turn and the one with the calls. Raises a `SynthesisError` of the
            kind `Kind.CONVERSATION` if this turn cannot be split.
        withholds: whether the second turn restores tools and has no words. These tools are not
            available before.
        word_gates: additional gates on the words.
        gates: additional gates that execute the task; they run late, since they take long.
        wrong: additional wrong answers that the reward must distinguish from the right one.
        structure: describes the two turns to a model that judges.
    """

    split: Callable[[BaseTurn, random.Random], tuple[Turn, Turn]]
    withholds: bool = False
    word_gates: tuple[Gate, ...] = ()
    gates: tuple[Gate, ...] = ()
    wrong: Callable[[Task], Iterator[list[list[Call]]]] = answered_early
    structure: str = ""


def without_function(base: BaseTurn, rng: random.Random) -> tuple[Turn, Turn]:
    """A request without a tool that no earlier turn needed, and a turn that restores the tool.

    Raises:
        SynthesisError: earlier turns needed all its tools.
    """
    earlier = {c.name for turn in base.executed.calls[: base.index] for c in turn}
    free = sorted({c.name for c in base.calls} - earlier)
    if not free:
        raise SynthesisError(Kind.CONVERSATION, "nothing to withhold")
    restored = (rng.choice(free),)
    request = Turn(user=base.words.turn(base.index))
    return request, Turn(user="", ground_truth=base.calls, restores=restored)


def without_parameter(base: BaseTurn, rng: random.Random) -> tuple[Turn, Turn]:
    """A request without one value, and a turn that gives it; nothing before contains the value.

    Raises:
        SynthesisError: each value is also stated elsewhere.
    """
    gold, words, seen = base.calls, base.words, base.seen
    options = words.stated(base.index)
    rng.shuffle(options)
    for which, name in options:
        value = as_text(gold[which].arguments[name])
        if not value or any(says(text, value) for text in seen) or _shared(gold, which, name):
            continue
        request = words.turn(base.index, (which, name))
        if not says(request, value):
            return Turn(user=request), Turn(user=words.answer(gold[which], name), ground_truth=gold)
    raise SynthesisError(Kind.CONVERSATION, "nothing to leave out")


def _shared(gold: Sequence[Call], which: int, name: str) -> bool:
    """Whether another argument of the turn has a value of this one, so that the words state it."""
    own = {*map(str, leaves(gold[which].arguments[name]))}
    return any(
        str(leaf) in own
        for index, call in enumerate(gold)
        for other, value in call.arguments.items()
        if (index, other) != (which, name)
        for leaf in leaves(value)
    )


def not_replaceable(case: Case) -> bool:
    """No other available tool does what the withheld one does."""
    return not replaceable(case.task, case.env)


def value_unknown_before(case: Case) -> bool:
    """The value that is left out is stated in the next turn and nowhere before."""
    task = case.task
    index = next(i for i, turn in enumerate(task.turns) if not turn.ground_truth)
    before = "\n".join(turn.user for turn in task.turns[: index + 1])
    shown = "\n".join(readable(t) for turn in case.gold.responses[: index + 1] for t in turn)
    first = sum(len(turn.ground_truth) for turn in task.turns[: index + 1])
    for offset, call in enumerate(task.turns[index + 1].ground_truth):
        tool = case.tools[call.name]
        for name, value in call.arguments.items():
            if name in tool.required and case.sources[first + offset][name] is Source.HERE:
                texts, schema = (before, shown), tool.parameters.get(name)
                if any(not any(occurs(v, t, schema) for t in texts) for v in leaves(value)):
                    return True
    return False


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
    """Add an augmentation for the tasks of a category.

    Worker processes need it too: call this in the module of your classes, which all of them import.

    Raises:
        ValueError: the category has an augmentation.
    """
    if category in _AUGMENTATIONS:
        raise ValueError(f"category {category!r} has an augmentation; choose another name")
    _AUGMENTATIONS[category] = augmentation


def augmentation_of(category: str) -> Augmentation | None:
    """The augmentation of a category; None if its tasks have the base form."""
    return _AUGMENTATIONS.get(category)


def structures() -> dict[str, str]:
    """What the tasks of each category are like, for a model that judges."""
    return {name: found.structure for name, found in _AUGMENTATIONS.items() if found.structure}
