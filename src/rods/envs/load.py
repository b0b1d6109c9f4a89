"""Environments by name, for the command line and worker processes."""

from __future__ import annotations

from pathlib import Path

from rods.envs.base import Environment
from rods.envs.bfcl import BfclEnvironment
from rods.envs.calls import DEFAULT, Bounds
from rods.envs.choice import MCP, read_spec
from rods.envs.python import PythonEnvironment
from rods.extras import require
from rods.imports import import_class


def load_environment(spec: str, bounds: Bounds = DEFAULT) -> Environment:
    """The environment `bfcl`, `mcp:FILE`, or `package.module:Class`, several joined by commas.

    A class or a file may be followed by its tools, as `package.module:Class[find_*,-find_all]`. A
    module of the current folder can be named, unless an installed one has the same name.

    Raises:
        UserError: no such module, class or tool, or it cannot be imported or described.
    """
    if spec == "bfcl":
        return BfclEnvironment(bounds)
    named = read_spec(spec)
    if spec.startswith(MCP):
        require("mcp")
        from rods.envs.mcp.environment import McpEnvironment

        return McpEnvironment(Path(named[0].name.removeprefix(MCP)), bounds, words=named[0].words)
    classes = [_load_class(each.name) for each in named]
    return PythonEnvironment(*classes, words=[each.words for each in named], bounds=bounds)


def _load_class(name: str) -> type:
    return import_class(
        name, f"environment {name!r}", "write it as package.module:Class, mcp:FILE, or bfcl"
    )
