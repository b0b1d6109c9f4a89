"""The tools of a server, from its own schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rods.envs.inlined import Inliner
from rods.envs.mcp.config import ServerConfig
from rods.errors import UserError, shown
from rods.files.plain_data import quoted
from rods.task import ToolSpec

TOOLS = 1_000
TEXT = 20_000  # characters of a description


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
        whole = Inliner(schema)
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        self.spec = ToolSpec(
            name=re.sub(r"\W", "_", self.name, flags=re.ASCII),
            owner=owner,
            description=" ".join(str(tool.get("description") or "").split())[:TEXT],
            parameters={name: _parameter(inner, whole) for name, inner in properties.items()},
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


def _parameter(schema: Any, whole: Inliner) -> dict[str, Any]:
    """The schema of one parameter, with one type."""
    made = whole.inlined(schema)
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
