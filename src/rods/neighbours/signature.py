"""Python methods for tools of which only the JSON schema is known.

Some programs read a tool's schema off a method's signature, type hints and Google-style docstring.
What a type hint cannot say stands in the parameter's description, as JSON.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union

from rods.task import ToolSpec

Answer = Callable[[Any, str, dict[str, Any]], str]
TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": type(None),
    "object": dict,
    "array": list,
}
SECTION = re.compile(r"\b(Args|Returns|Raises):")
BEYOND = frozenset({"properties", "$ref", "$defs", "allOf", "oneOf", "prefixItems", "pattern"})
"""What a type hint cannot say."""
SCALARS = (str, int, bool, type(None))


def method_of(tool: ToolSpec, call: Answer) -> Callable[..., str]:
    """A method that is described as the tool.

    Args:
        call: called with the object, the tool's name and the arguments that were given.
    """

    def method(self: Any, **arguments: Any) -> str:
        return call(self, tool.name, arguments)

    hints = {name: hint(schema) for name, schema in tool.parameters.items()}
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(
            name,
            kind,
            annotation=hints[name],
            default=inspect.Parameter.empty if name in tool.required else None,
        )
        for name in tool.parameters
    ]
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__name__ = method.__qualname__ = tool.name
    method.__annotations__ = hints
    method.__signature__ = inspect.Signature([this, *parameters])  # type: ignore[attr-defined]
    method.__doc__ = _document(tool)
    return method


def hint(schema: Mapping[str, Any]) -> Any:
    """The type hint that comes nearest to a JSON schema."""
    values = schema.get("enum")
    if isinstance(values, list) and values and all(type(v) in SCALARS for v in values):
        return Literal[tuple(values)]
    if isinstance(choices := schema.get("anyOf"), list) and choices:
        return Union[tuple(map(hint, choices))]  # noqa: UP007  # the choices are known here only
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        return Union[tuple(TYPES.get(each, Any) for each in kind)]  # noqa: UP007
    if kind == "array" and isinstance(items := schema.get("items"), dict) and items:
        return list[hint(items)]  # type: ignore[misc]
    if kind == "object" and isinstance(values := schema.get("additionalProperties"), dict):
        return dict[str, hint(values)]  # type: ignore[misc]
    return TYPES.get(str(kind), Any)


def _document(tool: ToolSpec) -> str:
    lines = [SECTION.sub(r"\1 -", tool.description.strip()) or tool.name]
    if tool.parameters:
        lines += ["", "Args:"]
        lines += [f"    {name}: {_described(s)}" for name, s in tool.parameters.items()]
    return "\n".join(lines)


def _described(schema: Mapping[str, Any]) -> str:
    said = " ".join(str(schema.get("description", "")).split())
    if schema.get("default") is not None:
        said += f" Default: {json.dumps(schema['default'], ensure_ascii=False)}."
    if _beyond(schema):
        rest = {key: value for key, value in schema.items() if key != "description"}
        said = f"{said} JSON schema: {json.dumps(rest, ensure_ascii=False)}"
    return SECTION.sub(r"\1 -", said).strip() or "no description"


def _beyond(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_beyond, schema))
    return isinstance(schema, dict) and (
        not BEYOND.isdisjoint(schema) or any(map(_beyond, schema.values()))
    )
