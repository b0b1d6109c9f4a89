"""Seed tasks with faults, each with its evidence (`rods audit`).

Some faults make a task impossible to solve as it is written; training leaves such tasks out. The
others are notes: the task can be solved, but perhaps not from the information that the agent gets.

- "withheld unused": the ground truth does not call the withheld tool in the turn that releases it.
- "withheld early": the ground truth calls a withheld tool before its release.
- "wrong type": an argument of the ground truth is not of its schema's type.
- "unreachable": a ground-truth call cannot be executed.
- "call fails" (note): the response to a ground-truth call is an error.
- "ungrounded" (note): a value is in no tool's document, and in no user turn and no response before
  its call. Numbers that the user writes as words, or that follow from others, are reported too.
- "doc order" (note): a tool's document lists its parameters in another order than its signature.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from pydantic import JsonValue

from rods.envs.base import Environment, Work
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, documented_order, tool_specs
from rods.envs.calls import misfit
from rods.envs.livestate import mentions
from rods.task import Task, ToolSpec

FAULTS = ("withheld unused", "withheld early", "wrong type", "unreachable")


class Finding(NamedTuple):
    """One fault; `task` is empty if it is a tool's fault."""

    task: str
    kind: str
    evidence: str

    @property
    def faulty(self) -> bool:
        """Whether the task cannot be solved as it is written."""
        return self.kind in FAULTS


def audit(task: Task, env: Environment) -> list[Finding]:
    """All findings on one task. Its ground truth is executed in a fresh session."""
    tools, name = env.tools(task), task.label
    found = [Finding(name, *f) for f in (*_withheld(task), *_types(task, tools))]
    return found + [Finding(name, *f) for f in _executed(task, env)]


def left_out(tasks: Mapping[str, Task], env: Environment) -> dict[str, str]:
    """Tasks that training must leave out, each with its faults."""
    reasons: dict[str, str] = {}
    for name, task in tasks.items():
        faults = [f"{f.kind}: {f.evidence}" for f in audit(task, env) if f.faulty]
        if faults:
            reasons[name] = "; ".join(faults)
    return reasons


@cache
def benchmark_faults() -> dict[str, str]:
    """`left_out` of the benchmark's 800 tasks."""
    return left_out(benchmark_tasks(), BfclEnvironment())


def audit_tools() -> list[Finding]:
    """Tools of the benchmark whose document lists parameters in another order than the signature.

    Calls with positional arguments would be bound wrongly by the document.
    """
    found = []
    for name, documented in documented_order().items():
        bound = list(tool_specs()[name].parameters)
        if documented != bound:
            lists = f"the document lists {', '.join(documented)}"
            what = f"{name}: {lists}; the signature {', '.join(bound)}"
            found.append(Finding("", "doc order", what))
    return found


def _withheld(task: Task) -> Iterator[tuple[str, str]]:
    withheld = set(task.withheld)
    for index, turn in enumerate(task.turns):
        names = {call.name for call in turn.ground_truth}
        withheld -= set(turn.restores)
        if turn.restores and not names & set(turn.restores):
            released = ", ".join(turn.restores)
            yield "withheld unused", f"turn {index} releases {released} and does not call it"
        for name in sorted(names & withheld):
            yield "withheld early", f"turn {index} calls {name} before its release"


def _types(task: Task, tools: Mapping[str, ToolSpec]) -> Iterator[tuple[str, str]]:
    for call in task.calls:
        for name, value in call.arguments.items():
            schema = tools[call.name].parameters.get(name, {})
            wrong = misfit(value, schema)
            if wrong and not (schema.get("type") == "string" and isinstance(value, str)):
                yield "wrong type", f"{call}: {name} {wrong}"


def _executed(task: Task, env: Environment) -> Iterator[tuple[str, str]]:
    session, tools = env.open(task), env.tools(task).values()
    seen = "\n".join([task.system, *(tool.model_dump_json() for tool in tools)])
    for index, turn in enumerate(task.turns):
        seen += f"\n{turn.user}"
        (outcome,) = env.execute([Work(session, turn.ground_truth)])
        if outcome.lost:
            yield "unreachable", f"turn {index}: {outcome.lost}"
            return
        for call, answer in zip(turn.ground_truth, outcome.observations, strict=True):
            for name, value in call.arguments.items():
                if not _grounded(value, seen):
                    yield "ungrounded", f"turn {index}: {call}: nothing tells {name}"
            if answer.raised:
                yield "unreachable", f"turn {index}: {call}: {answer.text[:160]}"
            elif not answer.ok:
                yield "call fails", f"turn {index}: {call}: {answer.text[:160]}"
            seen += f"\n{answer.text}"
    session.close()


def _grounded(value: JsonValue, seen: str) -> bool:
    """Whether a value, or each of its parts, is in the text that the agent has seen."""
    if isinstance(value, list):
        return all(_grounded(item, seen) for item in value)
    if isinstance(value, bool) or value is None or isinstance(value, dict):
        return True
    if isinstance(value, str):
        words = [word for word in value.lower().split() if word.isalnum()]
        return all(word in seen.lower() for word in words)
    if abs(value) <= 10:
        return True  # people write small numbers as words
    texts = {json.dumps(value), f"{value:g}", f"{value:,}", str(int(value))}
    return any(mentions(seen, text) for text in texts)
