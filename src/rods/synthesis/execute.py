"""Stage II, execute: a plan becomes calls by proposing arguments and running them.

Execution precedes language: the calls that succeeded, in the order in which they did, are the
ground truth, and every value in them was accepted by the tool in that very state.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rods.envs.base import Environment, Session
from rods.profile import field
from rods.synthesis.plan import Plan, Step, ToolGraph
from rods.synthesis.values import ValueBank, ValueSource, facts_of
from rods.task import Call, Task, Turn

PROPOSALS = 4


class SynthesisError(Exception):
    """An attempt that came to nothing; the message is the cause that the funnel counts."""


@dataclass(frozen=True)
class Executed:
    """A plan that ran: the base form of a task without words, and its responses by turn."""

    plan: Plan
    start: dict[str, Any]
    calls: tuple[tuple[Call, ...], ...]
    responses: tuple[tuple[str, ...], ...]


def execute(
    plan: Plan,
    start: dict[str, Any],
    env: Environment,
    graph: ToolGraph,
    bank: ValueBank,
    rng: random.Random,
) -> Executed:
    """Carry out a plan from a start state.

    Raises:
        SynthesisError: some step found no tool and arguments that execute.
    """
    blank = Task(category=plan.category, classes=plan.classes, start=start, turns=(Turn(user="-"),))
    session = env.open(blank)
    source = ValueSource(bank, rng)
    done: list[tuple[Call, str]] = []
    calls, responses = [], []
    for steps in plan.turns:
        made: list[tuple[Call, str]] = []
        for step in steps:
            made.append(_step(step, session, graph, source, done + made))
        done += made
        calls.append(tuple(c for c, _ in made))
        responses.append(tuple(r for _, r in made))
    session.close()
    return Executed(plan, start, tuple(calls), tuple(responses))


def _step(
    step: Step,
    session: Session,
    graph: ToolGraph,
    source: ValueSource,
    done: Sequence[tuple[Call, str]],
) -> tuple[Call, str]:
    facts = facts_of(session)
    for name in step.tools:
        tool = graph.tools[name]
        if any(call.name == name for call, _ in done[-1:]):
            continue  # the same tool twice running reads as one request
        fixed = _linked(step, name, graph, source, done)
        if fixed is None:
            continue
        for _ in range(PROPOSALS):
            arguments = source.arguments(tool, facts, fixed)
            call = Call.model_construct(name=name, arguments=arguments)
            if any(call == other for other, _ in done):
                continue
            seen = session.call(call)
            if seen.ok and not seen.raised:
                return call, seen.text
    raise SynthesisError("param_gen_failed")


def _linked(
    step: Step,
    name: str,
    graph: ToolGraph,
    source: ValueSource,
    done: Sequence[tuple[Call, str]],
) -> dict[str, Any] | None:
    """Values that flow in from earlier responses; None where a planned one is not there."""
    fixed: dict[str, Any] = {}
    for parameter, (position, key) in step.sources.items():
        value = field(done[position][1], key)
        if value is None:
            return None
        fixed[parameter] = value
    if not step.sources:  # a fresh plan links wherever the seeds do
        for call, response in reversed(done):
            for producer, key, consumer, parameter in graph.flows:
                if (producer, consumer) == (call.name, name) and parameter not in fixed:
                    value = field(response, key)
                    if value is not None and source.rng.random() < 0.7:
                        fixed[parameter] = value
    return fixed


def vary_start(
    classes: Sequence[str], starts: dict[str, list[Any]], rng: random.Random, source: ValueSource
) -> dict[str, Any]:
    """A new start state: each class from some training seed, with names and numbers redrawn.

    Args:
        starts: start states of the training seeds by class.
    """
    start: dict[str, Any] = {}
    for name in classes:
        if not starts.get(name):
            continue
        entry = copy.deepcopy(rng.choice(starts[name]))
        if name == "GorillaFileSystem":
            entry = _rename_tree(entry, source)
        start[name] = _jitter(entry, rng)
    return start


REDRAWN = {"fuelLevel", "balance", "budget_limit", "batteryVoltage", "acTemperature", "fanSpeed"}
REDRAWN |= {"price", "frontLeftTirePressure", "rearRightTirePressure", "distanceToNextVehicle"}


def _jitter(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        return {
            k: round(v * rng.uniform(0.7, 1.1), 1)
            if k in REDRAWN and isinstance(v, float)
            else _jitter(v, rng)
            for k, v in value.items()
        }
    return value


def _rename_tree(entry: Any, source: ValueSource) -> Any:
    """Give files and folders new names, keeping the tree and the files' extensions."""

    def rename(contents: dict[str, Any]) -> dict[str, Any]:
        renamed: dict[str, Any] = {}
        for name, node in contents.items():
            folder = node.get("type") == "directory"
            stem = source.new_name(folder=True)
            _, dot, extension = name.rpartition(".")
            fresh = stem if folder or not dot else f"{stem}.{extension}"
            if source.rng.random() < 0.4 or fresh in renamed or fresh in contents:
                fresh = name
            if folder:
                node = {**node, "contents": rename(node.get("contents", {}))}
            renamed[fresh] = node
        return renamed

    root = entry.get("root")
    if not isinstance(root, dict) or not root:
        return entry
    first, *others = root.items()
    name, node = first
    return {
        **entry,
        "root": {name: {**node, "contents": rename(node.get("contents", {}))}, **dict(others)},
    }
