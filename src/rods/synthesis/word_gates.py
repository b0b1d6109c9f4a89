"""Gates on the words: they must state every value, and only what a user would say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rods.grounding import all_stated, stated
from rods.provenance import Source, leaves
from rods.synthesis.case import Case
from rods.task import Call

SCAFFOLDING = re.compile(
    r"thought process|construct query|ground[ -]truth|function calls?\b|tool calls?\b"
    r"|\bapi\b|```|</?\w+>|\bjson\b|\bstep \d+\s*:|\bturn \d+\s*:",
    re.IGNORECASE,
)
CODE_NAME = re.compile(r"\w_\w|[a-z][A-Z]")


def grounded(case: Case) -> bool:
    """Every argument is in the user's words or in a response before its call."""
    return all(s < Source.NOWHERE for call in case.sources for s in call.values())


def used_where_stated(case: Case) -> bool:
    """A value that a turn takes from earlier words is also used by the calls of that earlier turn.

    Otherwise the words ask for something in one turn, and the calls do it in another.
    """
    task, found = case.task, iter(case.sources)
    used = [
        "\n".join(str(leaf) for call in turn.ground_truth for leaf in leaves(call.arguments))
        for turn in task.turns
    ]
    return all(
        _used_there(case, index, call, name, used)
        for index, turn in enumerate(task.turns)
        for call in turn.ground_truth
        for name, source in next(found).items()
        if source is Source.BEFORE
    )


def _used_there(case: Case, index: int, call: Call, name: str, used: Sequence[str]) -> bool:
    """Whether the calls of all earlier turns whose words state an argument have its values too.

    Args:
        index: the turn of the call.
        used: the values of each turn's calls.
    """
    task, value = case.task, call.arguments[name]
    schema = case.tools[call.name].parameters.get(name, {})

    def states(text: str, leaf: Any) -> bool:
        every = isinstance(value, list) and all_stated(value, text, schema)
        return every or stated(leaf, text, name, schema)

    for leaf in filter(_distinctive, leaves(value)):
        at = [i for i in range(index) if states(task.turns[i].user, leaf)]
        # The next turn answers the words of an empty one.
        answers = [used[i if task.turns[i].ground_truth else i + 1] for i in at]
        here = states(task.turns[index].user, leaf)
        if not here and not all(stated(leaf, text) for text in answers):
            return False
    return True


def _distinctive(leaf: Any) -> bool:
    """Whether a value is unlikely in words by chance: no lower-case word, no small number."""
    if leaf is None or isinstance(leaf, bool):
        return False
    if isinstance(leaf, str):
        return len(leaf) > 2 and not (leaf.isalpha() and leaf.islower())
    return bool(abs(leaf) > 10)


def no_code_names(case: Case) -> bool:
    """The words have no name of a tool or parameter, except as a value."""
    names = {n for tool in case.tools.values() for n in (tool.name, *tool.parameters)}
    values = {str(v) for c in case.task.calls for a in c.arguments.values() for v in leaves(a)}
    for turn in case.task.turns:
        words = {word.strip("_") for word in re.findall(r"\w+", turn.user)}
        if any(map(CODE_NAME.search, (words & names) - values)):
            return False
        if not names.isdisjoint(re.findall(r"(\w+)\(", turn.user)):
            return False
    return True


def no_scaffolding(case: Case) -> bool:
    """The words have no remains of the prompts of synthesis."""
    return not any(SCAFFOLDING.search(turn.user) for turn in case.task.turns)
