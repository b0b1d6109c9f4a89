"""Gates: checks that a task must pass before it is admitted.

Each gate finds one kind of fault and belongs to the stage that causes it. Gates are code, and no
judge overrules them.

Departure from the paper: the three checks that it makes by code are a part of the gates here. The
others ask whether wrong answers get less than the full reward, whether each call is needed, whether
values are known, whether the structure is kept, whether the task is near another one, and whether
it makes sense.

Open in the paper: the thresholds. docs/gates.md has measurements for those here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from rods.envs.calls import STOPPED, retried
from rods.profile import distance
from rods.reward import gold_trace
from rods.scoring import Scored, score_many
from rods.synthesis.augmentation import augmentation_of
from rods.synthesis.case import Case, Gate
from rods.synthesis.meaning_gates import (
    equalities_hold,
    in_range,
    nothing_undone,
    of_one_record,
    references_are_clear,
)
from rods.synthesis.word_gates import grounded, no_code_names, no_scaffolding, used_where_stated
from rods.task import Call, Task

# Tools that report with a false flag, and without an error, that nothing was done.
FLAGGED = re.compile(r"log_?in|sign_?in|authenticate|follow|subscribe", re.IGNORECASE)


def within_limits(case: Case) -> bool:
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


def of_its_category(case: Case) -> bool:
    """Empty turns, withheld tools and turns without words are exactly those of the category.

    An augmentation makes one turn without calls, which the next one answers; other tasks have none.
    """
    task = case.task
    empty = [i for i, turn in enumerate(task.turns) if not turn.ground_truth]
    wordless = [i for i, turn in enumerate(task.turns) if not turn.user.strip()]
    restoring = [i for i, turn in enumerate(task.turns) if turn.restores]
    found = augmentation_of(task.category)
    if found is None:
        return not (empty or wordless or restoring or task.withheld) and bool(task.turns)
    if len(empty) != 1 or empty[0] + 1 >= len(task.turns):
        return False
    after = [empty[0] + 1]
    expected = after if found.withholds else []
    return wordless == expected == restoring and bool(task.withheld) == bool(expected)


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


def reproducible(case: Case) -> bool:
    """A second new session, and the record if there is one, give the same responses and states."""
    task, gold = case.task, case.gold
    again = gold_trace(task, case.env)
    return gold.clean and gold == again and task.record in ((), gold.record)


def no_failing_call(case: Case) -> bool:
    """No ground-truth call is answered with an error, and no login is refused."""
    answers = (text for turn in case.gold.responses for text in turn)
    rows = zip(case.task.calls, answers, strict=True)
    return case.gold.error_free and not any(_undone(call, text) for call, text in rows)


def _undone(call: Call, answer: str) -> bool:
    """Whether a login or a similar call with arguments is answered with a false flag."""
    if not (call.arguments and FLAGGED.search(call.name)):
        return False
    try:
        data = json.loads(answer)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and any(v is False for v in data.values())


def needed(case: Case) -> bool:
    """The answer fails without any one of its calls, and no call is a useless repetition.

    The reward requires a response twice if the ground truth has it twice, so it cannot find this.
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


def profile_kept(case: Case) -> bool:
    """The profile is the parent's, within the distance."""
    return case.parent is None or distance(case.profile, case.parent) <= case.limits.distance


def reward_separates(case: Case) -> bool:
    """The ground truth gets the full reward, and wrong answers of each kind do not.

    An answer is no proof if a limit stopped a call or a session was lost, since the machine may
    have stalled; it is scored again. A wrong answer that is stopped each time hangs a tool: it
    fails, as it would for an agent.
    """
    right = [list(turn.ground_truth) for turn in case.task.turns]
    (scored,) = retried(lambda: _scored(case, [right]), _disturbed)
    if not _full(scored) or _disturbed([scored]) or not any(case.task.calls):
        return False
    left = [*wrong_answers(case.task)]
    for _ in range(2):
        rows = _scored(case, left)
        if any(map(_full, rows)):
            return False
        left = [answer for answer, row in zip(left, rows, strict=True) if _disturbed([row])]
        if not left:
            return True
    return not any(row.lost for row in rows)


def _scored(case: Case, answers: Sequence[Sequence[Sequence[Call]]]) -> list[Scored]:
    return score_many([(case.task, answer, case.gold) for answer in answers], case.env)


def _full(row: Scored) -> bool:
    return all(verdict.passed for verdict in row.verdicts)


def wrong_answers(task: Task) -> Iterator[list[list[Call]]]:
    """Answers without calls, without the last turn, with altered arguments; those of the category.

    The gate `needed` leaves out single calls. All arguments of a turn except flags are altered at
    once: many tools have an argument without effect, which is no fault of the task.
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
    if found := augmentation_of(task.category):
        yield from found.wrong(task)


def _altered(call: Call) -> Call:
    changed = {
        name: value if isinstance(value, bool) else "no such value"
        for name, value in call.arguments.items()
    }
    return Call(name=call.name, arguments=changed)


def _disturbed(scored: Sequence[Scored]) -> bool:
    return any(row.lost or not STOPPED.isdisjoint(row.refusals) for row in scored)


EARLY_GATES = (
    Gate("plan", "too large", within_limits),
    Gate("augment", "not of its category", of_its_category),
    Gate("augment", "tool not available", available),
    Gate("ground", "name leaked", no_code_names),
    Gate("ground", "scaffolding", no_scaffolding),
    Gate("execute", "replay differs", reproducible),
    Gate("execute", "a call fails", no_failing_call),
    Gate("ground", "ungrounded argument", grounded),
    Gate("ground", "stated in another turn", used_where_stated),
)
MEANING_GATES = (
    Gate("execute", "broken equality", equalities_hold),
    Gate("execute", "number out of range", in_range),
    Gate("execute", "values of different records", of_one_record),
    Gate("ground", "ambiguous reference", references_are_clear),
)
LATE_GATES = (  # these execute a task many times
    Gate("plan", "undone step", nothing_undone),
    Gate("plan", "superfluous call", needed),
    Gate("plan", "profile differs", profile_kept),
)
REWARD_GATE = Gate("critique", "reward cannot tell", reward_separates)


def gates_of(category: str) -> tuple[Gate, ...]:
    """All gates for tasks of a category, in the order in which they run."""
    found = augmentation_of(category)
    early, late = (found.word_gates, found.gates) if found else ((), ())
    return *EARLY_GATES, *early, *MEANING_GATES, *LATE_GATES, *late, REWARD_GATE
