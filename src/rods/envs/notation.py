"""Text to calls, without eval: model output is hostile, so it is read as literals only.

Four notations are read: BFCL's lists of Python calls, JSON tool calls, `<tool_call>`
blocks, and the `tool_calls` objects of OpenAI's API. The objects of BFCL's function-call logs,
`{"f": "{...}"}`, are read too. docs/reward.md has a table of all forms.

Text in a string is data: it does not select the notation and does not end a call.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from rods.envs.calls import DEFAULT, Bounds, CallError, Refusal, shown
from rods.envs.literals import (
    read_json,
    read_json_at,
    read_literal,
    refuse_deep_text,
    refuse_deep_value,
)
from rods.task import Call, ToolSpec

Tools = Mapping[str, ToolSpec]
MARK, END_MARK = "<tool_call>", "</tool_call>"
JSON_START = re.compile(r"\s*(?:\[\s*)?\{")
CALL_START = re.compile(r"[\s(\[]*([^\W\d]\w*)(\s*)\(")
LIST_START = re.compile(r"\[\s*(?:[\[{\"]|[^\W\d]\w*\()")
ARGUMENTS = ("arguments", "parameters", "input", "args")
"""Fields of a call's object that may hold its arguments, depending on who wrote it."""
NAME = re.compile(r"([^\W\d][\w.]*)\(")
FENCE = re.compile(r"```\w*\n")


def parse_calls(text: str, tools: Tools, bounds: Bounds = DEFAULT) -> tuple[Call, ...]:
    """Read calls in any of the notations.

    Raises:
        CallError: no calls, an unknown tool, an argument that is no literal, or a bound exceeded.
    """
    if len(text) > bounds.text:
        message = f"the call text has {len(text)} characters; at most {bounds.text} are read"
        raise CallError(Refusal.TEXT, message)
    text = text.strip("` \t\r\n")
    if JSON_START.match(text):
        return parse_json(text, tools, bounds)
    if MARK in text and not _begins_with_call(text, tools):
        return parse_blocks(text, tools, bounds)
    return parse_python(text, tools, bounds)


def attempts_call(text: str, tools: Tools) -> bool:
    """Whether a text that could not be read was meant as calls, and is not prose.

    It was if it contains the mark of a block, or begins like a JSON object, a list of calls, or a
    call that is the whole text or names a known tool. A call in the middle of prose does not count:
    the benchmark's own decoder does not read it either.
    """
    text = FENCE.sub("", text.lstrip(), count=1).strip("` \t\r\n")
    if MARK in text or text.startswith("{") or LIST_START.match(text):
        return True
    found = NAME.match(text)
    return found is not None and (text.endswith(")") or found[1] in tools)


def parse_python(text: str, tools: Tools, bounds: Bounds = DEFAULT) -> tuple[Call, ...]:
    """Read BFCL's notation, `[f(a=1), g('x')]` or a single `f(a=1)`.

    Positional arguments are bound by the order of the tool's parameters.

    Raises:
        CallError: see `parse_calls`.
    """
    refuse_deep_text(text, bounds)
    text = text.strip()
    if text[:1].isidentifier():  # in brackets calls may span several lines
        text = f"[{text}\n]"
    try:
        with warnings.catch_warnings():  # unusual literals warn on stderr
            warnings.simplefilter("ignore")
            body = ast.parse(text, mode="eval").body
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
    value = read_json(text, "not JSON calls")
    return read_objects(value if isinstance(value, list) else [value], tools, bounds)


def parse_blocks(text: str, tools: Tools, bounds: Bounds = DEFAULT) -> tuple[Call, ...]:
    """Read `<tool_call>` blocks, each of what `parse_json` reads; the last may be unclosed.

    Raises:
        CallError: see `parse_calls`.
    """
    calls: tuple[Call, ...] = ()
    at = text.find(MARK)
    while at >= 0:
        value, end = read_json_at(text, at + len(MARK), "not JSON calls")
        if end < len(text) and not text.startswith(END_MARK, end):
            message = f"not JSON calls: more text in a block, behind character {end}"
            raise CallError(Refusal.NOT_CALLS, message)
        calls += read_objects(value if isinstance(value, list) else [value], tools, bounds)
        at = text.find(MARK, end)
    return calls


def read_objects(
    objects: Sequence[Any], tools: Tools, bounds: Bounds = DEFAULT
) -> tuple[Call, ...]:
    """Read decoded JSON calls: plain ones, OpenAI's with `function` and `arguments` as text, or
    BFCL's, whose only key is the tool's name.

    Raises:
        CallError: see `parse_calls`.
    """
    _few(objects, bounds)
    return tuple(_object_call(item, tools, bounds) for item in objects)


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
            values[name] = read_literal(value)
        except CallError:  # which is a ValueError
            raise
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            message = f"{tool.name}: argument {shown(name)} is no literal"
            raise CallError(Refusal.NOT_LITERAL, message) from None
    return Call.model_construct(name=tool.name, arguments=values)


def _object_call(item: Any, tools: Tools, bounds: Bounds) -> Call:
    if isinstance(item, dict) and isinstance(item.get("function"), dict):
        item = item["function"]
    if isinstance(item, dict) and len(item) == 1 and "name" not in item:
        ((name, arguments),) = item.items()
        item = {"name": name, "arguments": arguments}
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        message = 'not a call: each must be {"name": ..., "arguments": {...}}'
        raise CallError(Refusal.NOT_CALLS, message)
    tool = _tool(item["name"], tools)
    arguments = _arguments(item, tool)
    if isinstance(arguments, str):  # OpenAI writes them as text
        if len(arguments) > bounds.text:
            message = f"{tool.name}: more than {bounds.text} characters of arguments"
            raise CallError(Refusal.TEXT, message)
        arguments = read_json(arguments or "{}", f"{tool.name}: the arguments are not JSON")
    if not isinstance(arguments, dict):
        message = f"{tool.name}: the arguments must be an object of names and values"
        raise CallError(Refusal.NOT_CALLS, message)
    refuse_deep_value(arguments, bounds)
    return Call.model_construct(name=tool.name, arguments=arguments)


def _arguments(item: Mapping[str, Any], tool: ToolSpec) -> Any:
    """The value of the one field that holds them; a second field would be lost without an error."""
    held = [name for name in item if name in ARGUMENTS]
    held = held or [name for name, value in item.items() if value and isinstance(value, dict)]
    if len(held) > 1 or (held and held[0] not in ARGUMENTS):
        message = f"{tool.name}: the arguments must be in 'arguments' and in no other field"
        raise CallError(Refusal.NOT_CALLS, message)
    return item[held[0]] if held else {}


def _tool(name: str, tools: Tools) -> ToolSpec:
    tool = tools.get(name)
    if tool is None:
        raise CallError(Refusal.UNKNOWN_TOOL, f"unknown tool {shown(name)}")
    return tool


def _few(calls: Sequence[Any], bounds: Bounds) -> None:
    if len(calls) > bounds.items:
        message = f"{len(calls)} calls at once; at most {bounds.items} are read"
        raise CallError(Refusal.ITEMS, message)


def _begins_with_call(text: str, tools: Tools) -> bool:
    """Whether the text begins with a call; prose may begin with a word, a blank and a bracket."""
    start = CALL_START.match(text)
    return start is not None and (not start[2] or start[1] in tools)
