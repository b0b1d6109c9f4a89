"""Gates: what a task must prove by execution and by its words before it is admitted.

Each gate answers for one kind of fault and belongs to the stage that is to blame for it. They are
code, and no judge overrules them. Thresholds that the paper leaves open are measured in
docs/synthesis.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from rods.ablation import Ablation, ablate
from rods.envs.base import Environment
from rods.grounding import Source, leaves, sources, told
from rods.profile import Profile, distance, profile_of
from rods.reward import GoldTrace, gold_trace, score_many
from rods.synthesis.withheld import replaceable
from rods.task import Call, Category, Task, ToolSpec


@dataclass(frozen=True)
class Limits:
    """Sizes and distances that a synthetic task keeps to (paper section 7, IV; distance ours)."""

    string: int = 200
    items: int = 5
    turns: int = 5
    distance: float = 0.25


@dataclass
class Case:
    """A task on trial, and what its execution shows, computed when it is first asked for."""

    task: Task
    env: Environment
    limits: Limits
    parent: Profile | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def tools(self) -> dict[str, ToolSpec]:
        return self.env.tools(self.task)

    @cached_property
    def gold(self) -> GoldTrace:
        return gold_trace(self.task, self.env)

    @cached_property
    def ablations(self) -> list[Ablation]:
        return ablate(self.task, self.env, self.gold)

    @cached_property
    def sources(self) -> list[dict[str, Source]]:
        return sources(self.task, self.gold.responses)

    @cached_property
    def profile(self) -> Profile:
        owners = {name: tool.owner for name, tool in self.tools.items()}
        return profile_of(self.task, self.gold, self.ablations, owners)


class Gate(NamedTuple):
    """`passes` tells whether a case is free of the fault."""

    stage: str
    name: str
    passes: Callable[[Case], bool]


SCAFFOLDING = re.compile(
    r"thought process|construct query|ground[ -]truth|function calls?\b|tool calls?\b"
    r"|\bapi\b|```|</?\w+>|\bjson\b|\bstep \d+\s*:|\bturn \d+\s*:",
    re.IGNORECASE,
)
CODE_NAME = re.compile(r"\w_\w|[a-z][A-Z]")
# Tools that say with a false flag, and no error, that nothing was done.
FLAGGED = re.compile(r"log_?in|sign_?in|authenticate|follow|subscribe", re.IGNORECASE)


def small(case: Case) -> bool:
    """Strings, lists and the number of turns are within their limits."""
    task, limits = case.task, case.limits

    def fits(value: Any) -> bool:
        if isinstance(value, str):
            return len(value) <= limits.string
        if isinstance(value, dict | list):
            inner = value.values() if isinstance(value, dict) else value
            return len(value) <= limits.items and all(map(fits, inner))
        return True

    values = (v for call in task.calls for v in call.arguments.values())
    return len(task.turns) <= limits.turns and all(map(fits, values))


def formed(case: Case) -> bool:
    """Empty turns, withheld tools and silent turns are just those of the category.

    A missing function or parameter makes one empty turn, and the next one answers it.
    """
    task = case.task
    empty = [i for i, turn in enumerate(task.turns) if not turn.ground_truth]
    silent = [i for i, turn in enumerate(task.turns) if not turn.user.strip()]
    restoring = [i for i, turn in enumerate(task.turns) if turn.restores]
    if task.category in (Category.BASE, Category.LONG_CONTEXT):
        return not (empty or silent or restoring or task.withheld) and bool(task.turns)
    if len(empty) != 1 or empty[0] + 1 >= len(task.turns):
        return False
    after = [empty[0] + 1]
    wanted = after if task.category is Category.MISS_FUNC else []
    return silent == wanted == restoring and bool(task.withheld) == bool(wanted)


def available(case: Case) -> bool:
    """Every tool exists, none is used while it is withheld, and each is used on release."""
    task, withheld = case.task, set(case.task.withheld)
    if not {c.name for c in task.calls} | withheld <= case.tools.keys():
        return False
    for turn in task.turns:
        withheld -= set(turn.restores)
        names = {call.name for call in turn.ground_truth}
        if names & withheld or not set(turn.restores) <= names:
            return False
    return not withheld


def repeats(case: Case) -> bool:
    """A second fresh session, and the record if there is one, show the same."""
    task, gold = case.task, case.gold
    again = gold_trace(task, case.env)
    return gold.clean and gold == again and task.record in ((), gold.record)


def unfailing(case: Case) -> bool:
    """No ground-truth call is answered with an error, and no login is refused."""
    answers = (text for turn in case.gold.responses for text in turn)
    rows = zip(case.task.calls, answers, strict=True)
    return case.gold.fine and not any(_undone(call, text) for call, text in rows)


def _undone(call: Call, answer: str) -> bool:
    """Whether a login or the like, with the arguments it needs, is answered with a false flag."""
    if not (call.arguments and FLAGGED.search(call.name)):
        return False
    try:
        told_back = json.loads(answer)
    except (ValueError, RecursionError):
        return False
    return isinstance(told_back, dict) and any(v is False for v in told_back.values())


def grounded(case: Case) -> bool:
    """Every argument stands in the words or in a response that come before its call."""
    return all(s < Source.NOWHERE for call in case.sources for s in call.values())


def timely(case: Case) -> bool:
    """Where a turn leaves a value to earlier words, these tell it for something done there.

    Otherwise the words ask for it in one turn, and the calls do it in another.
    """
    task, found = case.task, iter(case.sources)
    used = [
        "\n".join(str(leaf) for call in turn.ground_truth for leaf in leaves(call.arguments))
        for turn in task.turns
    ]
    for index, turn in enumerate(task.turns):
        for call in turn.ground_truth:
            by_name = next(found)
            for name in (n for n, source in by_name.items() if source is Source.BEFORE):
                for leaf in filter(_telling, leaves(call.arguments[name])):
                    at = [i for i in range(index) if told(leaf, task.turns[i].user)]
                    # An empty turn's words are answered in the next one.
                    answers = [used[i if task.turns[i].ground_truth else i + 1] for i in at]
                    if not told(leaf, turn.user) and not all(told(leaf, t) for t in answers):
                        return False
    return True


def _telling(leaf: Any) -> bool:
    """Whether a value is not in the words by chance: no plain word, no small number."""
    if leaf is None or isinstance(leaf, bool):
        return False
    if isinstance(leaf, str):
        return len(leaf) > 2 and not (leaf.isalpha() and leaf.islower())
    return bool(abs(leaf) > 10)


def discreet(case: Case) -> bool:
    """No name of a tool or parameter stands in the words, apart from values."""
    names = {n for tool in case.tools.values() for n in (tool.name, *tool.parameters)}
    coded = {name for name in names if CODE_NAME.search(name)}
    values = {str(v) for c in case.task.calls for a in c.arguments.values() for v in leaves(a)}
    for turn in case.task.turns:
        words = {word.strip("_") for word in re.findall(r"\w+", turn.user)}
        if (words & coded) - values or re.search(rf"\b({'|'.join(names)})\(", turn.user):
            return False
    return True


def plain_spoken(case: Case) -> bool:
    """No scaffolding of the synthesis is left in the words."""
    return not any(SCAFFOLDING.search(turn.user) for turn in case.task.turns)


def needed(case: Case) -> bool:
    """Without any one of its calls the answer fails, and none is a vain repetition.

    The reward wants what a turn shows twice to be seen twice, so it does not tell of those.
    """
    if not all(left.needed for left in case.ablations):
        return False
    writes = iter(left.writes for left in case.ablations)
    for turn, answers in zip(case.task.turns, case.gold.responses, strict=True):
        seen: set[str] = set()
        for call, answer in zip(turn.ground_truth, answers, strict=True):
            mark = f"{call} {answer}"
            if not next(writes) and mark in seen:
                return False
            seen.add(mark)
    return True


def missing(case: Case) -> bool:
    """What a missing parameter's turn lacks is told in the next turn and nowhere before."""
    task = case.task
    if task.category is not Category.MISS_PARAM:
        return True
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


def irreplaceable(case: Case) -> bool:
    """No other tool on offer does what the withheld one does."""
    return case.task.category is not Category.MISS_FUNC or not replaceable(case.task, case.env)


def alike(case: Case) -> bool:
    """The profile is the parent's, within the distance."""
    return case.parent is None or distance(case.profile, case.parent) <= case.limits.distance


def decisive(case: Case) -> bool:
    """The ground truth gets the full reward, and wrong answers of each kind do not."""
    answers = [[list(turn.ground_truth) for turn in case.task.turns], *wrong_answers(case.task)]
    scored = score_many([(case.task, answer, case.gold) for answer in answers], case.env)
    full = [all(verdict.passed for verdict in row.verdicts) for row in scored]
    return full[0] and not any(full[1:]) and any(case.task.calls)


def wrong_answers(task: Task) -> Iterator[list[list[Call]]]:
    """Silence, the last turn left out, a turn's arguments altered, a call in an empty turn.

    Single calls left out are the gate `needed`. All arguments of a turn but its flags are altered
    at once: many tools take one that changes nothing, which is no fault of the task.
    """
    gold = [list(turn.ground_truth) for turn in task.turns]
    filled = [index for index, calls in enumerate(gold) if calls]
    yield [[] for _ in gold]
    for index in filled[-1:]:
        yield [*gold[:index], [], *gold[index + 1 :]]
    for index in filled:
        altered = [_altered(call) for call in gold[index]]
        if altered != gold[index]:
            yield [*gold[:index], altered, *gold[index + 1 :]]
    if task.category in (Category.MISS_FUNC, Category.MISS_PARAM):
        yield [
            gold[index + 1] if not calls and index + 1 < len(gold) else list(calls)
            for index, calls in enumerate(gold)
        ]


def _altered(call: Call) -> Call:
    changed = {
        name: value if isinstance(value, bool) else "no such value"
        for name, value in call.arguments.items()
    }
    return Call(name=call.name, arguments=changed)


GATES: Sequence[Gate] = (
    Gate("plan", "too large", small),
    Gate("augment", "not of its category", formed),
    Gate("augment", "tool not available", available),
    Gate("ground", "name leaked", discreet),
    Gate("ground", "scaffolding", plain_spoken),
    Gate("execute", "replay differs", repeats),
    Gate("execute", "a call fails", unfailing),
    Gate("ground", "ungrounded argument", grounded),
    Gate("ground", "told in another turn", timely),
    Gate("augment", "missing value is known", missing),
    Gate("plan", "superfluous call", needed),
    Gate("plan", "profile differs", alike),
    Gate("augment", "withheld tool replaceable", irreplaceable),
    Gate("critique", "reward cannot tell", decisive),
)
