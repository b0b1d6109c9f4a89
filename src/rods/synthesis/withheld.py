"""Whether another tool can replace a withheld one: the check of a missing-function task."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, permutations

from rods.envs.base import Environment, Observation, Session
from rods.envs.calls import STOPPED, retried
from rods.provenance import leaves
from rods.task import Call, Task, ToolSpec

BINDINGS = 6  # orders in which the same values are given to another tool


def replaceable(task: Task, env: Environment) -> bool:
    """Whether one call of another tool has the same response and leaves the same state.

    It has the values of the withheld call, by name where names agree, otherwise in several orders.
    The task must have a withheld tool and a ground truth that runs.
    """
    session, tools = env.open(task), env.tools(task)
    found = False
    for turn in task.turns:
        for call in turn.ground_truth:
            found = found or (call.name in task.withheld and _replaced(session, call, tools))
            _called(session, call)
    session.close()
    return found


def _replaced(session: Session, call: Call, tools: dict[str, ToolSpec]) -> bool:
    right = session.fork()
    answer, state = _called(right, call).text, right.state()
    scratch = session.fork()
    for name, tool in tools.items():
        if name == call.name:
            continue
        for other in _bindings(call, tool):
            seen = _called(scratch, other)
            if seen.text == answer and scratch.matches(state):
                return True
            if seen.ok:  # it may have changed something
                scratch = session.fork()
    return False


def _called(session: Session, call: Call) -> Observation:
    """The response. A call that a limit stopped was undone, so it is tried again."""
    return retried(lambda: session.call(call), lambda seen: seen.refused in STOPPED)


def _bindings(call: Call, tool: ToolSpec) -> Iterator[Call]:
    """Calls of the tool with the call's values, as many as it requires; then with a list's items
    instead of the list, or with one list of all values."""
    named = {n: v for n, v in call.arguments.items() if n in tool.parameters}
    rest = [v for n, v in call.arguments.items() if n not in named]
    open_ = [n for n in tool.required if n not in named]
    items = list(leaves(call.arguments))
    drawn = islice(permutations(rest, len(open_)), BINDINGS)
    ways = [(named, open_, list(values)) for values in drawn]
    if len(open_) == 1 and tool.parameters[open_[0]].get("type") == "array":
        ways.append((named, open_, [items]))
    elif len(tool.required) == len(items):
        ways.append(({}, list(tool.required), items))
    for given, names, values in ways:
        arguments = {**given, **dict(zip(names, values, strict=True))}
        yield Call.model_construct(name=tool.name, arguments=arguments)
