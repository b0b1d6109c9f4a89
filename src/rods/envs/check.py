"""Checks an environment of the user's own classes (`rods envs check`): a result for each method.

Methods are called with arguments from their schema, the start state and the tasks' ground truths,
in two worker processes that differ in hash seed and time zone. A method may hang or end its process
without harm, and one that depends on either is found. The check finds mistakes; it proves nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rods.envs.calls import STOPPED, CallLimits
from rods.envs.guard import GuardedEnvironment
from rods.envs.lane import GuardedSession
from rods.envs.python import PythonEnvironment
from rods.errors import UserError
from rods.task import BASE, Call, Task, ToolSpec, Turn

READS = re.compile(r"(get|list|find|show|search|count|view|check|read|is|has|lookup)(_|$)")
PROCESSES = (
    {"PYTHONHASHSEED": "1", "TZ": "Etc/GMT+12"},
    {"PYTHONHASHSEED": "2", "TZ": "Etc/GMT-14"},  # 26 hours apart: the dates always differ
)
CALLS = 4  # calls of each method in each task
WORLDS = 3  # tasks whose start states are used


def check(env: PythonEnvironment, tasks: Sequence[Task] = ()) -> dict[str, list[str]]:
    """Method (or class) -> its problems; an empty list for a valid one.

    Raises:
        UserError: the environment cannot be opened.
    """
    problems: dict[str, list[str]] = {name: [] for name in env.methods}
    for name, method in env.methods.items():
        problems[name] += _undescribed(method.spec, env)
    for owner, made in env.classes.items():
        for attribute, value in vars(made).items():
            if attribute[0] == "_" or not isinstance(value, list | dict | set):
                continue
            message = f"{attribute} is a mutable attribute of the class: all sessions share it"
            problems.setdefault(owner, []).append(message)
    worlds = list(tasks[:WORLDS]) or [_blank(env)]
    with _workers(env) as (one, two):
        state = one.open(worlds[0]).state()
        if state.data is None:
            for owner in env.classes:
                message = "the state cannot be serialised: keep plain data, or offer get_state"
                problems.setdefault(owner, []).append(message)
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for world in worlds:
            texts = _strings(one.open(world).state().data)
            for name, method in env.methods.items():
                if method.spec.owner not in world.classes:
                    continue
                calls = [c for t in tasks for c in t.calls if c.name == name][:CALLS]
                for call in [*calls, *_probes(method.spec, texts)]:
                    for problem in _try(one, two, world, call):
                        found[name][problem] = None
        for name, distinct in found.items():
            problems[name] += distinct
        for problem in _played(one, two, tasks):
            problems.setdefault("tasks", []).append(problem)
    return problems


def _try(
    one: GuardedEnvironment, two: GuardedEnvironment, world: Task, call: Call
) -> Iterator[str]:
    """Problems of one call from the start state."""
    session = one.open(world)
    before = session.state()
    seen = session.call(call)
    outside = session.outside()
    after = session.state()
    if seen.refused in STOPPED:
        yield f"{seen.refused}: {call}"[:200]
        return
    yield from outside
    if READS.match(call.name) and before.digest != after.digest:
        yield "is named like a read and changes the state"
    if before.digest and not after.digest:
        yield "leaves a state that cannot be serialised"
    again = one.open(world)
    if again.call(call) != seen or again.state().digest != after.digest:
        yield "gives another result in a second session: something is shared, or random"
    elsewhere = two.open(world)
    if elsewhere.call(call) != seen or elsewhere.state().digest != after.digest:
        yield "gives another result in another process: clock, hash order, time zone or randomness"
    for other in (session, again, elsewhere):
        other.close()


def _played(
    one: GuardedEnvironment, two: GuardedEnvironment, tasks: Sequence[Task]
) -> Iterator[str]:
    """Ground truths whose end differs between the two processes."""
    for task in tasks:
        ends = []
        for env in (one, two):
            session: GuardedSession = env.open(task)
            ends.append(([session.call(call) for call in task.calls], session.state().digest))
            session.close()
        if ends[0] != ends[1]:
            yield f"task {task.source}: its ground truth ends differently in another process"


def _undescribed(spec: ToolSpec, env: PythonEnvironment) -> Iterator[str]:
    if not spec.description:
        yield "has no docstring"
    for name, schema in spec.parameters.items():
        if not schema.get("description"):
            yield f"parameter {name!r} is not described"
    if "return" not in getattr(getattr(env.classes[spec.owner], spec.name), "__annotations__", {}):
        yield "has no return type"


def _probes(spec: ToolSpec, texts: Sequence[str]) -> list[Call]:
    """Calls by schema: in turn with the required and with all arguments, with varying values."""
    made = []
    for turn in range(CALLS):
        names = spec.required if turn % 2 == 0 else tuple(spec.parameters)
        values = {n: _value(spec.parameters[n], texts, turn + i) for i, n in enumerate(names)}
        call = Call.model_construct(name=spec.name, arguments=values)
        if call not in made:
            made.append(call)
    return made


def _value(schema: dict[str, Any], texts: Sequence[str], turn: int) -> Any:
    for option in schema.get("anyOf", ()):
        return _value(option, texts, turn)
    if "enum" in schema:
        return schema["enum"][turn % len(schema["enum"])]
    match schema.get("const", schema.get("type")):
        case "integer":
            return turn + 1
        case "number":
            return turn + 0.5
        case "boolean":
            return turn % 2 == 0
        case "array":
            return [_value(schema.get("items", {}), texts, turn)]
        case "object":
            return {}
        case "null":
            return None
        case "string" | None:
            return texts[turn % len(texts)] if texts else "x"
        case constant:
            return constant


def _strings(value: Any) -> list[str]:
    """Short strings of a state, including keys, in a fixed order."""
    if isinstance(value, str):
        return [value] if 0 < len(value) <= 40 else []
    if isinstance(value, dict):
        return [t for k, v in value.items() for t in (*_strings(k), *_strings(v))][:200]
    return [t for item in value for t in _strings(item)] if isinstance(value, list) else []


def _blank(env: PythonEnvironment) -> Task:
    turns = (Turn(user="-"),)
    return Task(category=BASE, classes=tuple(env.classes), start={}, turns=turns)


@contextmanager
def _workers(env: PythonEnvironment) -> Iterator[tuple[GuardedEnvironment, GuardedEnvironment]]:
    made = [GuardedEnvironment(env, CallLimits(), probe=True, variables=v) for v in PROCESSES]
    try:
        lost = made[0].open(_blank(env))
        lost.state()
        if lost.lost:
            raise UserError(f"environment {env.name}: {lost.lost}")
        yield made[0], made[1]
    finally:
        for guarded in made:
            guarded.close()
