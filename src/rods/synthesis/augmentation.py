"""What is special to the tasks of one category: one turn of their base form is split in two.

As in BFCL the first of the two is empty: the right answer to it is to call nothing. The second one
brings what was missing and carries the ground truth.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rods.synthesis.case import Gate
from rods.synthesis.draft import Executed, Words
from rods.task import Call, Task, Turn


@dataclass(frozen=True)
class Moment:
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

    split: Callable[[Moment, random.Random], tuple[Turn, Turn]]
    withholds: bool = False
    word_gates: tuple[Gate, ...] = ()
    gates: tuple[Gate, ...] = ()
    wrong: Callable[[Task], Iterator[list[list[Call]]]] = answered_early
    structure: str = ""
