"""Text <-> `Call`, without eval: model output is hostile until parsed as literals."""

from __future__ import annotations

import ast
import warnings
from typing import Any

from pydantic import JsonValue

from rods.task import Call, ToolSpec

MAX_TEXT = 20_000
MAX_ITEMS = 1_000
MAX_DEPTH = 8
MAX_NUMBER = 10**18


class CallError(ValueError):
    """A call that is refused before it reaches a tool; the message is for the agent."""


def parse_calls(text: str, tools: dict[str, ToolSpec]) -> tuple[Call, ...]:
    """Parse BFCL's notation, `[f(a=1), g('x')]` or a single `f(a=1)`.

    Positional arguments are bound by the order of the tool's parameters.

    Raises:
        CallError: not a list of calls, an unknown tool, or an argument that is no literal.
    """
    if len(text) > MAX_TEXT:
        raise CallError(f"the call text has {len(text)} characters; at most {MAX_TEXT} are read")
    try:
        with warnings.catch_warnings():  # odd literals warn on stderr
            warnings.simplefilter("ignore")
            body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CallError(f"not a list of calls: {type(error).__name__}") from None
    nodes = body.elts if isinstance(body, ast.List | ast.Tuple) else [body]
    return tuple(_call(node, tools) for node in nodes)


def _call(node: ast.expr, tools: dict[str, ToolSpec]) -> Call:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise CallError("not a list of calls: each item must be name(argument=value)")
    tool = tools.get(node.func.id)
    if tool is None:
        raise CallError(f"unknown tool {node.func.id!r}")
    names = list(tool.parameters)
    if len(node.args) > len(names):
        raise CallError(f"{tool.name} takes {len(names)} arguments, {len(node.args)} given")
    values: dict[str, Any] = {}
    pairs = list(zip(names, node.args, strict=False))
    pairs += [(keyword.arg or "**", keyword.value) for keyword in node.keywords]
    for name, value in pairs:
        if name in values:
            raise CallError(f"{tool.name} got {name!r} twice")
        try:
            values[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise CallError(f"{tool.name}: argument {name!r} is no literal") from None
    return Call.model_construct(name=tool.name, arguments=values)


def check_call(call: Call, tools: dict[str, ToolSpec]) -> None:
    """Refuse calls that no tool could take, and arguments beyond any honest size.

    Raises:
        CallError: unknown tool or argument, a required one missing, or a bound exceeded.
    """
    tool = tools.get(call.name)
    if tool is None:
        raise CallError(f"unknown tool {call.name!r}")
    for name, value in call.arguments.items():
        if name not in tool.parameters:
            raise CallError(f"{call.name} has no argument {name!r}")
        _bounded(value, f"{call.name}: argument {name!r}")
    for name in tool.required:
        if name not in call.arguments:
            raise CallError(f"{call.name}: argument {name!r} is missing")


def _bounded(value: JsonValue, where: str, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise CallError(f"{where} is nested deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise CallError(f"{where} has more than {MAX_TEXT} characters")
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int | float):
        if not abs(value) <= MAX_NUMBER:  # so written, it refuses NaN too
            raise CallError(f"{where} is not a number within {MAX_NUMBER:.0e}")
    elif isinstance(value, list | tuple | dict):
        if len(value) > MAX_ITEMS:
            raise CallError(f"{where} has more than {MAX_ITEMS} items")
        for item in value.values() if isinstance(value, dict) else value:
            _bounded(item, where, depth + 1)
    else:
        raise CallError(f"{where} is a {type(value).__name__}, which no tool takes")
