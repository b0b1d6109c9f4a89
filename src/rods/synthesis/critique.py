"""Stage IV, critique: gates in code. A task that fails one is not admitted, whoever made it.

Departure from the paper: no model judges here; there is nothing to overrule.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rods.envs.base import Environment
from rods.errors import UserError
from rods.profile import Profile, profile
from rods.reward import GoldTrace, gold_trace, score
from rods.synthesis.catalogue import roles
from rods.synthesis.ground import say, says
from rods.task import Call, Category, Task

MAX_STRING = 200
MAX_LIST = 5
MAX_TURNS = 8


class Critic:
    """Knows what is held out and what exists already.

    Args:
        held_out: tasks that no synthetic task may resemble.
    """

    def __init__(self, env: Environment, held_out: Iterable[Task] = ()) -> None:
        self.env = env
        self.known: set[str] = set()
        self._held_out = {signature(task) for task in held_out}

    def review(self, task: Task, parent: Task | None = None) -> str:
        """The name of the first gate that refuses the task, or "" if it is sound."""
        if task.id in self.known:
            return "duplicate"
        if signature(task) in self._held_out:
            return "near a held-out task"
        if parent is not None and signature(task) == signature(parent):
            return "near its parent"
        if not _within_size(task):
            return "too large"
        if not _available(task):
            return "tool not available"
        try:
            first, again = gold_trace(task, self.env), gold_trace(task, self.env)
        except UserError:
            return "start state does not load"
        if not first.clean or first != again:
            return "replay differs"
        if not _grounded(task, first.responses):
            return "ungrounded argument"
        if parent is not None:
            theirs = gold_trace(parent, self.env)
            if self._profile(task, first) != self._profile(parent, theirs):
                return "profile differs"
        if not self.solved_by(task, [turn.ground_truth for turn in task.turns], first):
            return "gold answer fails"
        if any(self.solved_by(task, wrong, first) for wrong in wrong_answers(task)):
            return "wrong answer passes"
        return ""

    def solved_by(
        self, task: Task, answer: Sequence[Sequence[Call]], gold: GoldTrace | None = None
    ) -> bool:
        """Whether these calls, by turn, get the full reward."""
        return all(verdict.passed for verdict in score(task, self.env, answer, gold))

    def _profile(self, task: Task, gold: GoldTrace) -> Profile:
        owners = {name: tool.owner for name, tool in self.env.tools(task).items()}
        return profile(task, gold.responses, owners, roles())


def signature(task: Task) -> str:
    """What two near-copies share: the same calls with the same values, turn by turn."""
    return f"{task.category}|" + "|".join(
        ";".join(map(str, turn.ground_truth)) for turn in task.turns
    )


def wrong_answers(task: Task) -> Iterator[list[list[Call]]]:
    """Silence, each ground-truth call left out, one argument altered, a call in an empty turn."""
    gold = [list(turn.ground_truth) for turn in task.turns]
    yield [[] for _ in gold]
    for index, calls in enumerate(gold):
        for which in range(len(calls)):
            yield [*gold[:index], calls[:which] + calls[which + 1 :], *gold[index + 1 :]]
    rng = random.Random(task.id)
    altered = [(i, w) for i, calls in enumerate(gold) for w, c in enumerate(calls) if c.arguments]
    if altered:
        index, which = rng.choice(altered)
        call = gold[index][which]
        name = rng.choice(sorted(call.arguments))
        changed = Call(name=call.name, arguments={**call.arguments, name: "no such value"})
        calls = [*gold[index][:which], changed, *gold[index][which + 1 :]]
        yield [*gold[:index], calls, *gold[index + 1 :]]
    if task.category in (Category.MISS_FUNC, Category.MISS_PARAM):
        eager = [list(calls) for calls in gold]
        for index, calls in enumerate(gold[:-1]):
            if not calls:
                eager[index] = gold[index + 1]
        yield eager


def _within_size(task: Task) -> bool:
    def fits(value: Any) -> bool:
        if isinstance(value, str):
            return len(value) <= MAX_STRING
        if isinstance(value, list):
            return len(value) <= MAX_LIST and all(map(fits, value))
        return True

    return len(task.turns) <= MAX_TURNS and all(
        fits(v) for call in task.calls for v in call.arguments.values()
    )


def _available(task: Task) -> bool:
    """No turn uses a tool that is still withheld, and every withheld tool is used on release."""
    withheld = set(task.withheld)
    for turn in task.turns:
        withheld -= set(turn.restores)
        names = {call.name for call in turn.ground_truth}
        if names & withheld or not set(turn.restores) <= names:
            return False
    return not withheld


def _grounded(task: Task, responses: Sequence[Sequence[str]]) -> bool:
    """Every argument stands in what was said or shown before its call."""
    seen = ""
    for turn, answers in zip(task.turns, responses, strict=True):
        seen += "\n" + turn.user
        for call, answer in zip(turn.ground_truth, answers, strict=True):
            for value in call.arguments.values():
                for item in value if isinstance(value, list) else [value]:
                    if not says(seen, say(item)):
                        return False
            seen += "\n" + answer
    return True
