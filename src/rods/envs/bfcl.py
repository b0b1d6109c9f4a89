"""BFCL's eight simulators as sessions, driven by parsed calls and never by eval.

Departures from the official executor, none of which changes a verdict on honest calls: no shared
instances, fresh mutable defaults for each call, deep-copied long-context tables, a time limit, and
bounds on the few numeric arguments that make a simulator hang or build a cyclic file tree.
"""

from __future__ import annotations

import copy
import importlib
import importlib.metadata
import inspect
import json
import marshal
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from rods.envs.base import Observation
from rods.envs.bfcl_data import SIMULATORS, tool_specs
from rods.envs.calls import CallError, check_call
from rods.errors import UserError
from rods.task import Call, Category, Task, ToolSpec

PACKAGE = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
STATELESS = {"MathAPI"}
# Beyond these the simulators compute for minutes or for ever, some in C where no signal reaches.
BOUNDS = {
    ("power", "exponent"): 1_000,
    ("power", "base"): 10**9,
    ("square_root", "precision"): 1_000,
    ("logarithm", "precision"): 1_000,
    ("round_number", "decimal_places"): 100,
}
CALL_SECONDS = 1.0


class _TimeOut(BaseException):
    """Not an Exception, because some simulators swallow those."""


class BfclEnvironment:
    """The tools of BFCL multi-turn (bfcl-eval, installed apart)."""

    name = "bfcl"

    def __init__(self) -> None:
        try:
            self.version = importlib.metadata.version("bfcl-eval")
        except importlib.metadata.PackageNotFoundError:
            raise UserError(
                "bfcl-eval is not installed: pip install --no-deps bfcl-eval==2026.3.23"
            ) from None

    def tools(self, task: Task) -> dict[str, ToolSpec]:
        specs = tool_specs()
        return {n: t for n, t in specs.items() if t.owner in task.classes}

    def open(self, task: Task) -> BfclSession:
        instances: dict[str, Any] = {}
        long = task.category is Category.LONG_CONTEXT
        for name in task.classes:
            if name not in SIMULATORS:
                raise UserError(f"task {task.source or task.id}: no BFCL class {name!r}")
            instance = _simulator(name)()
            if name not in STATELESS:
                start = marshal.loads(marshal.dumps(task.start.get(name, {})))  # a fast deep copy
                try:
                    instance._load_scenario(start, long_context=long)
                except Exception as error:
                    raise UserError(
                        f"task {task.source or task.id}: start state of {name} cannot be loaded:"
                        f" {type(error).__name__}: {error}"
                    ) from None
            instances[name] = instance
        # Long-context tables are module-level objects that all instances would share.
        return BfclSession(_copy(instances) if long else instances, self.tools(task))


class BfclSession:
    """Live simulator instances of one task."""

    def __init__(self, instances: dict[str, Any], tools: dict[str, ToolSpec]) -> None:
        self._instances = instances
        self._tools = tools

    def call(self, call: Call) -> Observation:
        try:
            check_call(call, self._tools)
            self._check_hazards(call)
        except CallError as error:
            return Observation(f"Error during execution: {error}", ok=False, raised=True)
        instance = self._instances[self._tools[call.name].owner]
        arguments = _fresh_defaults(type(instance), call.name) | copy.deepcopy(call.arguments)
        try:
            with _time_limit(CALL_SECONDS):
                result = getattr(instance, call.name)(**arguments)
                text = _text(result)
        except _TimeOut:
            return Observation("Error during execution: time limit", ok=False, raised=True)
        except Exception as error:  # a simulator may raise anything; the episode goes on
            return Observation(f"Error during execution: {error}", ok=False, raised=True)
        first = result[0] if isinstance(result, list) and result else result
        return Observation(text, ok=not (isinstance(first, dict) and "error" in first))

    def state(self) -> dict[str, Any]:
        try:
            with _time_limit(CALL_SECONDS):
                return {
                    owner: {k: _plain(v) for k, v in vars(made).items() if not k.startswith("_")}
                    for owner, made in self._instances.items()
                }
        except (RecursionError, _TimeOut):  # a cyclic or bottomless file tree equals nothing
            return {"unreadable": object()}

    def fork(self) -> BfclSession:
        return BfclSession(_copy(self._instances), self._tools)

    def close(self) -> None:
        self._instances = {}

    def _check_hazards(self, call: Call) -> None:
        for name, value in call.arguments.items():
            bound = BOUNDS.get((call.name, name))
            if bound is not None and isinstance(value, int | float) and abs(value) > bound:
                raise CallError(f"{call.name}: argument {name!r} must be within {bound}")
        source = call.arguments.get("source")
        if call.name in ("mv", "cp") and source == call.arguments.get("destination"):
            here = self._instances["GorillaFileSystem"]._current_dir.contents
            if isinstance(source, str) and hasattr(here.get(source), "contents"):
                raise CallError(f"{call.name}: a directory cannot be put into itself")


@cache
def _simulator(name: str) -> Any:
    return getattr(importlib.import_module(f"{PACKAGE}.{SIMULATORS[name]}"), name)


@cache
def _mutable_defaults(owner: type, method: str) -> dict[str, Any]:
    parameters = inspect.signature(getattr(owner, method)).parameters
    return {
        name: copy.deepcopy(p.default)
        for name, p in parameters.items()
        if isinstance(p.default, list | dict | set)
    }


def _fresh_defaults(owner: type, method: str) -> dict[str, Any]:
    """Copies of mutable defaults, which simulators extend in place across calls."""
    return {name: copy.copy(value) for name, value in _mutable_defaults(owner, method).items()}


def _copy(instances: dict[str, Any]) -> dict[str, Any]:
    """Deep copy; generators are cloned by their state, which is far cheaper."""
    memo: dict[int, Any] = {}
    for instance in instances.values():
        for value in vars(instance).values():
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
    """Files and directories as plain data whose equality is that of the simulator's objects."""
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


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Interrupt pure-Python loops, by CPU time; only the main thread can take a signal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signum: int, _frame: Any) -> None:
        raise _TimeOut

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
