"""Text <-> calls, without eval: model output is hostile until it was read as literals.

Four notations are read: BFCL's lists of Python calls, JSON tool calls, `<tool_call>` blocks, and
the `tool_calls` objects of OpenAI's API. Each can be written too.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from rods.envs.calls import DEFAULT, Bounds, CallError, Refusal, shown
from rods.task import Call, ToolSpec

Tools = Mapping[str, ToolSpec]
BLOCK = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def parse_calls(text: str, tools: Tools, bounds: Bounds = DEFAULT) -> tuple[Call, ...]:
    """Read calls in whichever notation the text is in.

    Raises:
        CallError: no calls, an unknown tool, an argument that is no literal, or a bound exceeded.
    """
    if len(text) > bounds.text:
        message = f"the call text has {len(text)} characters; at most {bounds.text} are read"
        raise CallError(Refusal.TEXT, message)
    if "<tool_call>" in text:
        blocks = BLOCK.findall(text)
        return tuple(call for block in blocks for call in parse_json(block, tools, bounds))
    start = text.lstrip()
    if start[:1] == "{" or (start[:1] == "[" and start[1:].lstrip()[:1] == "{"):
        return parse_json(text, tools, bounds)
    return parse_python(text, tools, bounds)


def parse_python(text: str, tools: Tools, bounds: Bounds = DEFAULT) -> tuple[Call, ...]:
    """Read BFCL's notation, `[f(a=1), g('x')]` or a single `f(a=1)`.

    Positional arguments are bound by the order of the tool's parameters.

    Raises:
        CallError: see `parse_calls`.
    """
    _shallow(text, bounds)
    try:
        with warnings.catch_warnings():  # odd literals warn on stderr
            warnings.simplefilter("ignore")
            body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        message = f"not a list of calls: {type(error).__name__}"
        raise CallError(Refusal.NOT_CALLS, message) from None
    nodes = body.elts if isinstance(body, ast.List | ast.Tuple) else [body]
    _few(nodes, bounds)
    return tuple(_python_call(node, tools) for node in nodes)


def parse_json(text: str, tools: Tools, bounds: Bounds = DEFAULT) -> tuple[Call, ...]:
    """Read `{"name": ..., "arguments": {...}}` or a list of such objects.

    Raises:
        CallError: see `parse_calls`.
    """
    _shallow(text, bounds)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"not JSON calls: {str(error)[:80]}"
        raise CallError(Refusal.NOT_CALLS, message) from None
    return read_objects(value if isinstance(value, list) else [value], tools, bounds)


def read_objects(
    objects: Sequence[Any], tools: Tools, bounds: Bounds = DEFAULT
) -> tuple[Call, ...]:
    """Read decoded JSON calls: plain ones, or OpenAI's with `function` and `arguments` as text.

    Raises:
        CallError: see `parse_calls`.
    """
    _few(objects, bounds)
    return tuple(_object_call(item, tools, bounds) for item in objects)


def write_python(calls: Sequence[Call]) -> str:
    """BFCL's notation."""
    return f"[{', '.join(map(str, calls))}]"


def write_json(calls: Sequence[Call]) -> str:
    """A JSON list of objects with `name` and `arguments`."""
    return json.dumps([{"name": call.name, "arguments": call.arguments} for call in calls])


def write_blocks(calls: Sequence[Call]) -> str:
    """A `<tool_call>` block for each call."""
    return "\n".join(f"<tool_call>\n{write_json([call])[1:-1]}\n</tool_call>" for call in calls)


def write_objects(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """OpenAI's `tool_calls`; ids count the calls."""
    return [
        {
            "id": f"call_{position}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for position, call in enumerate(calls)
    ]


def _python_call(node: ast.expr, tools: Tools) -> Call:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        message = "not a list of calls: each item must be name(argument=value)"
        raise CallError(Refusal.NOT_CALLS, message)
    tool = _tool(node.func.id, tools)
    names = list(tool.parameters)
    if len(node.args) > len(names):
        message = f"{tool.name} takes {len(names)} arguments, {len(node.args)} given"
        raise CallError(Refusal.EXTRA_ARGUMENT, message)
    values: dict[str, Any] = {}
    pairs = list(zip(names, node.args, strict=False))
    pairs += [(keyword.arg or "**", keyword.value) for keyword in node.keywords]
    for name, value in pairs:
        if name in values:
            raise CallError(Refusal.REPEATED_ARGUMENT, f"{tool.name} got {shown(name)} twice")
        try:
            values[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            message = f"{tool.name}: argument {shown(name)} is no literal"
            raise CallError(Refusal.NOT_LITERAL, message) from None
    return Call.model_construct(name=tool.name, arguments=values)


def _object_call(item: Any, tools: Tools, bounds: Bounds) -> Call:
    if isinstance(item, dict) and isinstance(item.get("function"), dict):
        item = item["function"]
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        message = 'not a call: each must be {"name": ..., "arguments": {...}}'
        raise CallError(Refusal.NOT_CALLS, message)
    tool = _tool(item["name"], tools)
    arguments = item.get("arguments", item.get("parameters", {}))
    if isinstance(arguments, str):  # OpenAI writes them as text
        if len(arguments) > bounds.text:
            message = f"{tool.name}: more than {bounds.text} characters of arguments"
            raise CallError(Refusal.TEXT, message)
        _shallow(arguments, bounds)
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            message = f"{tool.name}: the arguments are not JSON"
            raise CallError(Refusal.NOT_CALLS, message) from None
    if not isinstance(arguments, dict):
        message = f"{tool.name}: the arguments must be an object of names and values"
        raise CallError(Refusal.NOT_CALLS, message)
    return Call.model_construct(name=tool.name, arguments=arguments)


def _tool(name: str, tools: Tools) -> ToolSpec:
    tool = tools.get(name)
    if tool is None:
        raise CallError(Refusal.UNKNOWN_TOOL, f"unknown tool {shown(name)}")
    return tool


def _few(calls: Sequence[Any], bounds: Bounds) -> None:
    if len(calls) > bounds.items:
        message = f"{len(calls)} calls at once; at most {bounds.items} are read"
        raise CallError(Refusal.ITEMS, message)


def _shallow(text: str, bounds: Bounds) -> None:
    """Deep nesting can exhaust a parser's C stack, so it is refused unread.

    Brackets within strings count as well; twice the bound leaves them room.
    """
    depth, most = 0, 2 * bounds.depth + 8
    for bracket in re.findall(r"[()\[\]{}]", text):
        depth = max(0, depth + BRACKETS[bracket])
        if depth > most:
            raise CallError(Refusal.DEPTH, f"brackets are nested deeper than {most}")
