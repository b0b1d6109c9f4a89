"""Gates on the words: what the user says must be enough, and no more than a user would say."""

from __future__ import annotations

import re
from typing import Any

from rods.provenance import Source, leaves, told
from rods.synthesis.case import Case

SCAFFOLDING = re.compile(
    r"thought process|construct query|ground[ -]truth|function calls?\b|tool calls?\b"
    r"|\bapi\b|```|</?\w+>|\bjson\b|\bstep \d+\s*:|\bturn \d+\s*:",
    re.IGNORECASE,
)
CODE_NAME = re.compile(r"\w_\w|[a-z][A-Z]")


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
