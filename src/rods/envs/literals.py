"""Values from hostile text, never by eval: JSON and Python literals, no deep nesting, no key twice.

Text in a string is data: only brackets outside strings count.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

from rods.envs.calls import Bounds, CallError, Refusal, shown

LEXEME = re.compile(
    r"""('{3}|"{3}|['"])(?:\\(?:.|\Z)|(?!\1)[^\\])*+(?:\1|\Z)|\#[^\n]*|[()\[\]{}]""", re.DOTALL
)
"""A string (closed or not), a comment, or a bracket outside both."""
BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
BLANKS = re.compile(r"[ \t\r\n]*")


def read_json(text: str, what: str) -> Any:
    """The value that a whole text writes.

    Args:
        what: begins the message of the error.

    Raises:
        CallError: it is no JSON, is nested too deep to be decoded, or has a key twice.
    """
    value, end = read_json_at(text, 0, what)
    if end < len(text):
        raise CallError(Refusal.NOT_CALLS, f"{what}: more text behind character {end}")
    return value


def read_json_at(text: str, start: int, what: str) -> tuple[Any, int]:
    """The value at `start`, and the position after it; blanks around the value are skipped.

    Raises:
        CallError: see `read_json`.
    """
    start = after_blanks(text, start)
    try:
        value, end = DECODER.raw_decode(text, start)
    except CallError:  # which is a ValueError
        raise
    except RecursionError:
        raise CallError(Refusal.DEPTH, f"{what}: nested too deep") from None
    except ValueError as error:
        raise CallError(Refusal.NOT_CALLS, f"{what}: {str(error)[:80]}") from None
    return value, after_blanks(text, end)


def read_literal(node: ast.expr) -> Any:
    """The value of a literal expression.

    Raises:
        CallError: a key appears twice.
        Exception: what `ast.literal_eval` raises.
    """
    if isinstance(node, ast.Constant):
        return node.value
    _refuse_repeated_keys(node)
    return ast.literal_eval(node)


def refuse_deep_text(text: str, bounds: Bounds) -> None:
    """Bound the nesting of Python's brackets, with a margin for those around an argument.

    Raises:
        CallError: they are nested too deep.
    """
    depth, most = 0, 2 * bounds.depth + 8
    if sum(map(text.count, "([{")) <= most:
        return
    for found in LEXEME.finditer(text):
        depth = max(0, depth + BRACKETS.get(found[0], 0))
        if depth > most:
            raise CallError(Refusal.DEPTH, f"brackets are nested deeper than {most}")


def refuse_deep_value(value: Any, bounds: Bounds) -> None:
    """Bound the nesting of lists and objects as `refuse_deep_text` does.

    Raises:
        CallError: they are nested too deep.
    """
    level, most = [value], 2 * bounds.depth + 8
    for _ in range(most):
        inner = [
            v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)
        ]
        if not inner:
            return
        level = [part for parts in inner for part in parts]
    raise CallError(Refusal.DEPTH, f"values are nested deeper than {most}")


def after_blanks(text: str, start: int) -> int:
    found = BLANKS.match(text, start)
    return found.end() if found else start


def _refuse_repeated_keys(node: ast.expr) -> None:
    if isinstance(node, ast.Dict):
        _object([(ast.literal_eval(key), None) for key in node.keys if key is not None])
    for part in node.values if isinstance(node, ast.Dict) else getattr(node, "elts", ()):
        if not isinstance(part, ast.Constant):
            _refuse_repeated_keys(part)


def _object(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """The object; refused if a key appears twice, since it is unknown which value is meant."""
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise CallError(Refusal.REPEATED_ARGUMENT, f"the key {shown(key)} appears twice")
        found[key] = value
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_object)
