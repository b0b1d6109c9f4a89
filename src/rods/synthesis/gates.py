"""Gates: what a task must prove by execution and by its words before it is admitted.

Each gate answers for one kind of fault and belongs to the stage that is to blame for it. They are
code, and no judge overrules them. Thresholds that the paper leaves open are measured in
docs/gates.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from rods.envs.calls import STOPPED, retried
from rods.profile import distance
from rods.reward import gold_trace
from rods.scoring import Scored, score_many
from rods.synthesis.case import Case, Gate
from rods.synthesis.registry import augmentation_of
from rods.synthesis.word_gates import discreet, grounded, plain_spoken, timely
from rods.synthesis.wrong import wrong_answers
from rods.task import Call

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

    An augmentation makes one empty turn, and the next one answers it; other tasks have none.
    """
    task = case.task
    empty = [i for i, turn in enumerate(task.turns) if not turn.ground_truth]
    silent = [i for i, turn in enumerate(task.turns) if not turn.user.strip()]
    restoring = [i for i, turn in enumerate(task.turns) if turn.restores]
    found = augmentation_of(task.category)
    if found is None:
        return not (empty or silent or restoring or task.withheld) and bool(task.turns)
    if len(empty) != 1 or empty[0] + 1 >= len(task.turns):
        return False
    after = [empty[0] + 1]
    wanted = after if found.withholds else []
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
    return case.gold.error_free and not any(_undone(call, text) for call, text in rows)


def _undone(call: Call, answer: str) -> bool:
    """Whether a login or the like, with the arguments it needs, is answered with a false flag."""
    if not (call.arguments and FLAGGED.search(call.name)):
        return False
    try:
        told_back = json.loads(answer)
    except (ValueError, RecursionError):
        return False
    return isinstance(told_back, dict) and any(v is False for v in told_back.values())


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


def alike(case: Case) -> bool:
    """The profile is the parent's, within the distance."""
    return case.parent is None or distance(case.profile, case.parent) <= case.limits.distance


def decisive(case: Case) -> bool:
    """The ground truth gets the full reward, and wrong answers of each kind do not.

    An answer in which a limit stopped a call, or whose session was lost, proves nothing.
    """
    answers = [[list(turn.ground_truth) for turn in case.task.turns], *wrong_answers(case.task)]
    episodes = [(case.task, answer, case.gold) for answer in answers]
    scored = retried(lambda: score_many(episodes, case.env), _disturbed)
    full = [all(verdict.passed for verdict in row.verdicts) for row in scored]
    proved = full[0] and not any(full[1:]) and not _disturbed(scored)
    return proved and any(case.task.calls)


def _disturbed(scored: Sequence[Scored]) -> bool:
    return any(row.lost or not STOPPED.isdisjoint(row.refusals) for row in scored)


EARLY_GATES = (
    Gate("plan", "too large", small),
    Gate("augment", "not of its category", formed),
    Gate("augment", "tool not available", available),
    Gate("ground", "name leaked", discreet),
    Gate("ground", "scaffolding", plain_spoken),
    Gate("execute", "replay differs", repeats),
    Gate("execute", "a call fails", unfailing),
    Gate("ground", "ungrounded argument", grounded),
    Gate("ground", "told in another turn", timely),
)
LATE_GATES = (  # which run a task many times
    Gate("plan", "superfluous call", needed),
    Gate("plan", "profile differs", alike),
)
DECISIVE = Gate("critique", "reward cannot tell", decisive)


def gates_of(category: str) -> tuple[Gate, ...]:
    """All gates for tasks of a category, in the order in which they are asked."""
    found = augmentation_of(category)
    early, late = (found.word_gates, found.gates) if found else ((), ())
    return *EARLY_GATES, *early, *LATE_GATES, *late, DECISIVE
