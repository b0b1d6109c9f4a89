"""Files of MCP servers for the tests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rods.envs.mcp.environment import McpEnvironment
from rods.task import Call, Task, Turn

HERE = Path(__file__).parent
LIBRARY = HERE.parent / "examples" / "lending"
LIMITS = {"start_seconds": 20, "call_seconds": 1, "warm": 0}


def odd(mode: str, *more: str, **entry: Any) -> dict[str, Any]:
    """The entry of `odd_server.py`."""
    args = ["-S", "-E", str(HERE / "odd_server.py"), mode, *more]
    return {"command": sys.executable, "args": args, **entry}


def library() -> dict[str, Any]:
    """The entry of the example `library` over stdio."""
    return {"command": sys.executable, "args": [str(LIBRARY / "server.py")]}


def written(folder: Path, entry: dict[str, Any], limits: Any = None, **settings: Any) -> Path:
    """A file with one server, named `odd`."""
    rods = {"servers": {"odd": settings}, "limits": {**LIMITS, **(limits or {})}}
    path = folder / "servers.json"
    path.write_text(json.dumps({"mcpServers": {"odd": entry}, "rods": rods}))
    return path


def opened(folder: Path, entry: dict[str, Any], limits: Any = None, **settings: Any) -> Any:
    """The environment of one server. Without settings its folder starts empty and is the state."""
    settings = settings or {"state": {"files": ["**"]}}
    return McpEnvironment(written(folder, entry, limits, **settings))


def task_of(env: McpEnvironment, *calls: Call, **start: Any) -> Task:
    """A task with one turn."""
    turns = (Turn(user="-", ground_truth=calls),)
    begin = {"odd": start} if start else {}
    return Task(
        category="base", classes=tuple(env.classes), start=begin, turns=turns, environment=env.name
    )


def called(name: str, **arguments: Any) -> Call:
    return Call(name=name, arguments=arguments)
