"""BFCL's eight simulators as sessions, driven by parsed calls and never by eval.

Departure from BFCL: unlike in its official executor no instances are shared, mutable defaults are
fresh for each call, each session has its own long-context tables, and the simulators are changed by
`bfcl_mends`. None of this changes a verdict on ordinary calls.

Calls run in this process without a time limit; `guard` adds one.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

from rods.envs.base import Observation, Outcome, Work, execute_here
from rods.envs.bfcl_data import LONG_CONTEXT, SIMULATORS, tool_specs
from rods.envs.bfcl_mends import deep_copy, mutable_defaults, refuse_hazards, simulator, steady
from rods.envs.calls import DEFAULT, Bounds, CallError, Refusal, check_call
from rods.envs.state import State, same
from rods.errors import UserError
from rods.extras import installed, missing
from rods.task import Call, Task, ToolSpec

STATELESS = {"MathAPI"}
PLAIN = (dict, list, set)
SCALARS = frozenset({str, int, float, bool, type(None)})


class BfclEnvironment:
    """The tools of BFCL multi-turn (bfcl-eval, which is installed separately)."""

    name = "bfcl"
    classes = tuple(SIMULATORS)

    def __init__(self, bounds: Bounds = DEFAULT) -> None:
        self.bounds = bounds
        found = installed("bfcl_eval")
        if found is None:
            raise UserError(missing("bfcl_eval"))
        self.version = found

    @property
    def specs(self) -> dict[str, ToolSpec]:
        """The tools of all classes, by name."""
        return tool_specs()

    def tools(self, task: Task) -> dict[str, ToolSpec]:
        return _tools(task.classes)

    def open(self, task: Task) -> BfclSession:
        instances: dict[str, Any] = {}
        long = task.category == LONG_CONTEXT
        for name in task.classes:
            if name not in SIMULATORS:
                raise UserError(f"task {task.label}: no BFCL class {name!r}")
            instance = simulator(name)()
            if name not in STATELESS:
                start = deep_copy(task.start.get(name, {}))
                try:
                    instance._load_scenario(start, long_context=long)
                except Exception as error:
                    raise UserError(
                        f"task {task.label}: start state of {name} cannot be loaded:"
                        f" {type(error).__name__}: {error}"
                    ) from None
                if long:  # its tables are objects of the module, shared by all instances
                    _own(instance)
            instances[name] = instance
        return BfclSession(instances, self.tools(task), self.bounds)

    def execute(self, steps: Sequence[Work]) -> list[Outcome]:
        return execute_here(steps)


class BfclSession:
    """Live simulator instances of one task."""

    def __init__(
        self, instances: dict[str, Any], tools: dict[str, ToolSpec], bounds: Bounds
    ) -> None:
        self._instances = instances
        self._tools = tools
        self._bounds = bounds

    def call(self, call: Call) -> Observation:
        try:
            check_call(call, self._tools, self._bounds)
            refuse_hazards(call, self._instances)
        except CallError as error:
            return error.observation()
        owner = self._tools[call.name].owner
        arguments = self._arguments(owner, call)
        try:
            result = steady(getattr(self._instances[owner], call.name)(**arguments))
            text = _text(result)
        except MemoryError:
            return CallError(Refusal.MEMORY, "out of memory").observation()
        except Exception as error:  # a simulator may raise anything; the episode continues
            return Observation(f"Error during execution: {error}", ok=False, raised=True)
        first = result[0] if isinstance(result, list) and result else result
        return Observation(text, ok=not (isinstance(first, dict) and "error" in first))

    def state(self) -> State:
        try:
            return State(
                {
                    owner: {k: _plain(v) for k, v in vars(made).items() if k[0] != "_"}
                    for owner, made in self._instances.items()
                }
            )
        except RecursionError:  # a directory inside itself
            return State(None)

    def matches(self, state: State) -> bool:
        if state.data is None:
            return False
        try:
            return all(
                _equal_attributes(vars(made), state.data[owner])
                for owner, made in self._instances.items()
            )
        except RecursionError:
            return False

    def fork(self) -> BfclSession:
        return BfclSession(_copy(self._instances), self._tools, self._bounds)

    def close(self) -> None:
        self._instances = {}

    def _arguments(self, owner: str, call: Call) -> dict[str, Any]:
        """The arguments for the method: a copy of all that it may change in place."""
        arguments, defaults = call.arguments, mutable_defaults(owner, call.name)
        if defaults or any(isinstance(v, PLAIN) for v in arguments.values()):
            arguments = copy.deepcopy({**defaults, **arguments})
        return arguments


@cache
def _tools(classes: tuple[str, ...]) -> dict[str, ToolSpec]:
    return {n: t for n, t in tool_specs().items() if t.owner in classes}


def _own(instance: Any) -> None:
    """Replace an instance's tables by copies."""
    tables = {k: v for k, v in vars(instance).items() if isinstance(v, PLAIN)}
    vars(instance).update(deep_copy(tables))


def _copy(instances: dict[str, Any]) -> dict[str, Any]:
    """A deep copy; tables and random generators are copied by faster means."""
    memo: dict[int, Any] = {}
    values = [value for instance in instances.values() for value in vars(instance).values()]
    tables = [value for value in values if isinstance(value, PLAIN)]
    memo.update(zip(map(id, tables), deep_copy(tables), strict=True))
    for value in values:
        if isinstance(value, random.Random):
            clone = random.Random()
            clone.setstate(value.getstate())
            memo[id(value)] = clone
    return copy.deepcopy(instances, memo)


def _text(result: Any) -> str:
    """The response as the official executor writes it."""
    if isinstance(result, str):
        return result
    if isinstance(result, dict):
        try:
            return json.dumps(result)
        except (TypeError, ValueError, RecursionError):
            return str(result)
    return str(result)


def _plain(value: Any) -> Any:
    """Files and directories as plain data that are equal if the simulator's objects are."""
    if type(value) in SCALARS:  # most of a state; it is copied for every call
        return value
    if type(value) is dict:
        return {k: v if type(v) in SCALARS else _plain(v) for k, v in value.items()}
    if hasattr(value, "contents"):
        children = {name: _plain(item) for name, item in value.contents.items()}
        return ("directory", value.name, children)
    if type(value).__name__ == "File":
        return ("file", value.name, value.content)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, tuple):
        return tuple(_plain(v) for v in value)
    return set(value) if isinstance(value, set) else value


def _equal_attributes(live: dict[str, Any], expected: dict[str, Any]) -> bool:
    public = {name: value for name, value in live.items() if name[0] != "_"}
    return public == expected or (  # unequal objects may still be equal file trees, or hold nan
        public.keys() == expected.keys()
        and all(_equal(value, expected[name]) for name, value in public.items())
    )


def _equal(live: Any, expected: Any) -> bool:
    """Whether `_plain(live) == expected`."""
    if hasattr(live, "contents"):
        return (
            isinstance(expected, tuple)
            and expected[:2] == ("directory", live.name)
            and live.contents.keys() == expected[2].keys()
            and all(_equal(item, expected[2][name]) for name, item in live.contents.items())
        )
    if type(live).__name__ == "File":
        return same(("file", live.name, live.content), expected)
    return same(live, expected)
