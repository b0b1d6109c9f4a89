"""How tools, calls and responses are written in a prompt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rods.synthesis.catalogue import Phrase, imperative
from rods.task import Call, ToolSpec

MAX_DOC = 240  # characters of a tool's description
MAX_PARAMETER = 120  # characters of a parameter's description
MAX_GOAL = 100  # characters of what a call does
MAX_SHOWN = 600  # characters of one response in a prompt
EFFECTS = {"read": "reads", "write": "writes", "session": "changes what later calls may do"}


@dataclass(frozen=True)
class ToolText:
    """Writes the tools of an environment.

    Args:
        phrases: the entry of each tool, which says whether it reads or writes.
    """

    tools: Mapping[str, ToolSpec]
    phrases: Mapping[str, Phrase]

    def lines(self, names: Iterable[str]) -> list[str]:
        """One line for each tool: class, name, parameters, effect, what it does."""
        return [self._line(self.tools[name]) for name in names]

    def call(self, call: Call) -> str:
        """A call as JSON; in further lines what it does and what its arguments mean."""
        tool, lines = self.tools.get(call.name), [call_line(call)]
        if tool is not None:
            lines.append(f"it {self._effect(tool)}: {_short(tool.description)}")
            docs = {n: _doc(tool.parameters.get(n, {})) for n in call.arguments}
            lines += [f"{name}: {doc}" for name, doc in docs.items() if doc]
        return "\n  ".join(lines)

    def calls(self, calls: Iterable[Call]) -> list[str]:
        """Several calls."""
        return [self.call(call) for call in calls]

    def goals(self, calls: Iterable[Call]) -> list[str]:
        """What each call does, as a request."""
        found = (self.tools.get(call.name) for call in calls)
        return [clipped(imperative(tool.description), MAX_GOAL) for tool in found if tool]

    def about(self, tool: ToolSpec) -> str:
        """What a tool does, with its effect."""
        return f"{_short(tool.description)} (it {self._effect(tool)})"

    def _line(self, tool: ToolSpec) -> str:
        given = "; ".join(
            f"{name}: {doc}" if (doc := _doc(schema)) else name
            for name, schema in tool.parameters.items()
        )
        return (
            f"{tool.owner}: {tool.name}({given}) - {self._effect(tool)}: {_short(tool.description)}"
        )

    def _effect(self, tool: ToolSpec) -> str:
        return EFFECTS[self.phrases[tool.name].role]


def call_line(call: Call) -> str:
    """A call as one line of JSON."""
    return json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)


def clipped(text: str, limit: int = MAX_SHOWN) -> str:
    """A response or state, cut to fit a prompt."""
    return text if len(text) <= limit else text[:limit] + " ..."


def _doc(schema: Mapping[str, Any]) -> str:
    return clipped(" ".join(str(schema.get("description", "")).split()), MAX_PARAMETER)


def _short(description: str) -> str:
    return clipped(" ".join(description.split()), MAX_DOC)
