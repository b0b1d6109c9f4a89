"""Corrections of BFCL's simulators, whose own code is unchanged.

Each simulator is used through a subclass. Its few methods that depend on the process run with other
globals: today's date is fixed, local time is UTC, and a set keeps its order. Loading a scenario
copies the default state with a faster function; with the original one it takes a quarter of an
episode's time. Arguments that make a simulator compute for minutes, some in C where no signal
interrupts it, are refused.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import marshal
import re
import types
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any

from rods.envs.bfcl_data import SIMULATORS
from rods.envs.calls import CallError, Refusal
from rods.task import Call

PACKAGE = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
BOUNDS = {
    ("power", "exponent"): 1_000,
    ("power", "base"): 10**9,
    ("square_root", "precision"): 1_000,
    ("logarithm", "precision"): 1_000,
    ("round_number", "decimal_places"): 100,
}
TRAVEL_CLASSES = "Invalid travel class. Must be one of "


class FixedTime(datetime):
    """A clock fixed at the release of the benchmark's data, in UTC."""

    @classmethod
    def today(cls) -> FixedTime:
        return cls(2026, 3, 23)

    @classmethod
    def fromtimestamp(cls, timestamp: float, tz: tzinfo | None = None) -> FixedTime:
        made = super().fromtimestamp(timestamp, tz or UTC)
        return made if tz else made.replace(tzinfo=None)

    def timestamp(self) -> float:
        return datetime.timestamp(self if self.tzinfo else self.replace(tzinfo=UTC))


class OrderedSet(dict[Any, None]):
    """Replaces `set` where a simulator prints one: iterates in the order of insertion."""

    def __init__(self, items: Any = ()) -> None:
        super().__init__(dict.fromkeys(items))

    def __sub__(self, other: Any) -> OrderedSet:
        return OrderedSet(item for item in self if item not in other)


MENDS: dict[str, dict[str, dict[str, Any]]] = {
    "TicketAPI": {"edit_ticket": {"set": OrderedSet}},
    "TravelAPI": {"verify_traveler_information": {"datetime": FixedTime}},
    "TradingBot": {
        "_generate_transaction_timestamp": {
            "datetime": FixedTime,
            "CURRENT_TIME": FixedTime(2024, 9, 1, 10, 30),
        }
    },
}


def deep_copy(value: Any) -> Any:
    """`copy.deepcopy`, ten times as fast for plain data; shared parts remain shared."""
    try:
        return marshal.loads(marshal.dumps(value))
    except ValueError:  # it contains an object
        return copy.deepcopy(value)


@cache
def simulator(name: str) -> Any:
    """The simulator's class with its corrections."""
    owner = getattr(importlib.import_module(f"{PACKAGE}.{SIMULATORS[name]}"), name)
    mends = dict(MENDS.get(name, {}))
    if hasattr(owner, "_load_scenario"):
        mends["_load_scenario"] = {"deepcopy": deep_copy}
    mended = {method: _with_globals(getattr(owner, method), new) for method, new in mends.items()}
    return type(name, (owner,), mended)


def _with_globals(function: Any, other: dict[str, Any]) -> Callable[..., Any]:
    made = types.FunctionType(
        function.__code__, {**function.__globals__, **other}, function.__name__
    )
    made.__defaults__, made.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    return made


@cache
def mutable_defaults(name: str, method: str) -> dict[str, Any]:
    """Defaults that a simulator changes in place across calls, to be copied for each call."""
    parameters = inspect.signature(getattr(simulator(name), method)).parameters
    return {
        name: copy.deepcopy(p.default)
        for name, p in parameters.items()
        if isinstance(p.default, list | dict | set)
    }


@cache
def shared_records() -> frozenset[str]:
    """Ids of the cards and bookings that long context adds; all instances share the objects.

    A scenario's own record with such an id replaces it.
    """
    tables = vars(importlib.import_module(f"{PACKAGE}.long_context"))
    return frozenset(tables["CREDIT_CARD_EXTENSION"]) | frozenset(
        tables["BOOKING_RECORD_EXTENSION"]
    )


def refuse_hazards(call: Call, instances: dict[str, Any]) -> None:
    """Refuse calls that would hang a simulator or build a file tree that contains itself.

    Raises:
        CallError: such a call; the message names the bound.
    """
    for name, value in call.arguments.items():
        bound = BOUNDS.get((call.name, name))
        if bound is not None and isinstance(value, int | float) and abs(value) > bound:
            message = f"{call.name}: argument {name!r} must be within {bound}"
            raise CallError(Refusal.NUMBER, message)
    if call.name in ("mv", "cp"):
        source = call.arguments.get("source")
        if isinstance(source, str) and source == call.arguments.get("destination"):
            here = instances["GorillaFileSystem"]._current_dir.contents
            if hasattr(here.get(source), "contents"):
                message = f"{call.name}: a directory cannot be put into itself"
                raise CallError(Refusal.HAZARD, message)


def steady(result: Any) -> Any:
    """The result with a printed set of travel classes in alphabetical order."""
    if isinstance(result, dict) and "error" in result:
        error = result["error"]
        if isinstance(error, str) and error.startswith(TRAVEL_CLASSES):
            classes = ", ".join(sorted(re.findall(r"'\w+'", error)))
            return {**result, "error": f"{TRAVEL_CLASSES}{{{classes}}}"}
    return result
