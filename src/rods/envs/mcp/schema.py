"""The tools of a server, from its own schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rods.envs.mcp.config import ServerConfig
from rods.errors import UserError, shown
from rods.files.plain_data import quoted
from rods.task import ToolSpec

TOOLS = 1_000
TEXT = 20_000  # characters of a description
NODES = 20_000  # of a schema, with its references replaced
DEPTH = 32


class ServerTool:
    """One tool.

    Attributes:
        name: as the server knows it; `spec.name` can be written as a call.
        reads: whether the server says that it changes nothing; None: it says nothing.
        open_world: whether the server says that it reaches outside.
    """

    def __init__(self, owner: str, tool: Mapping[str, Any]) -> None:
        self.name = str(tool["name"])
        schema = tool.get("inputSchema") or {}
        whole = _Inlined(schema)
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        self.spec = ToolSpec(
            name=re.sub(r"\W", "_", self.name, flags=re.ASCII),
            owner=owner,
            description=" ".join(str(tool.get("description") or "").split())[:TEXT],
            parameters={name: whole.parameter(inner) for name, inner in properties.items()},
            required=tuple(n for n in schema.get("required") or () if n in properties),
        )
        said = tool.get("annotations")
        said = said if isinstance(said, dict) else {}
        self.reads: bool | None = said.get("readOnlyHint")
        self.open_world = said.get("openWorldHint") is True


def server_tools(
    config: ServerConfig, listed: list[dict[str, Any]], wanted: tuple[str, ...] | None
) -> dict[str, ServerTool]:
    """The tools that are used, by the name under which they are called.

    Args:
        wanted: their names; None: all.

    Raises:
        UserError: there are none or too many, one cannot be called, or the file names another.
    """
    if len(listed) > TOOLS:
        raise UserError(f"{config.where}: the server has more than {TOOLS} tools")
    names = [tool.get("name") for tool in listed]
    for name in wanted or ():
        if name not in names:
            message = f"the server has no tool {quoted(name)}; it has {', '.join(map(str, names))}"
            raise UserError(f"{config.where}: tools: {shown(message, 400)}")
    found: dict[str, ServerTool] = {}
    for tool in listed:
        if wanted is not None and tool.get("name") not in wanted:
            continue
        try:
            made = ServerTool(config.name, tool)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            name = shown(str(tool.get("name")), 80)
            why = shown(f"{type(error).__name__}: {error}", 200)
            raise UserError(f"{config.where}: tool {name} cannot be described: {why}") from None
        if not made.spec.name.isidentifier():
            raise UserError(f"{config.where}: {quoted(made.name)} cannot be called by that name")
        if made.spec.name in found:
            message = f"{quoted(made.name)} and {quoted(found[made.spec.name].name)} have one name"
            raise UserError(f"{config.where}: {message}; leave one out with tools")
        found[made.spec.name] = made
    if not found:
        raise UserError(f"{config.where}: the server has no tools")
    return found


class _Inlined:
    """A JSON schema whose references are replaced; a recursive one becomes a plain object."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root, self._left = schema, NODES

    def parameter(self, schema: Any) -> dict[str, Any]:
        made = self._inline(schema, ())
        if not isinstance(made, dict):  # `true` is a schema too
            return {}
        options = [o for o in made.get("anyOf", ()) if isinstance(o, dict)]
        real = [option for option in options if option.get("type") != "null"]
        if "type" not in made and len(real) == 1:  # an optional value, as pydantic writes it
            made = {**real[0], **{k: v for k, v in made.items() if k != "anyOf"}}
        if isinstance(made.get("type"), list):  # of several types, the first that is a value
            types = [name for name in made["type"] if name != "null"]
            made = {**made, "type": types[0] if types else "null"}
        return made

    def _inline(self, node: Any, within: tuple[str, ...]) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"its schema has more than {NODES} parts")
        if isinstance(node, list):
            return [self._inline(item, within) for item in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if isinstance(reference, str):
            if reference in within or len(within) > DEPTH:
                return {"type": "object"}
            target = self._target(reference)
            beside = {key: value for key, value in node.items() if key != "$ref"}
            inner = self._inline(target, (*within, reference))
            return {**inner, **beside} if isinstance(inner, dict) else inner
        return {key: self._inline(value, within) for key, value in node.items()}

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            part = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or part not in found:
                raise ValueError(f"the reference {reference!r} leads nowhere")
            found = found[part]
        return found
