"""Environments by name, for the command line and worker processes."""

from __future__ import annotations

from rods.envs.base import Environment
from rods.envs.bfcl import BfclEnvironment
from rods.envs.calls import DEFAULT, Bounds
from rods.envs.python import PythonEnvironment
from rods.imports import import_class


def load_environment(spec: str, bounds: Bounds = DEFAULT) -> Environment:
    """The environment `bfcl`, or `package.module:Class`, several of them joined by commas.

    A module of the current folder can be named, unless an installed one has the same name.

    Raises:
        UserError: no such module or class, or it cannot be imported or described.
    """
    if spec == "bfcl":
        return BfclEnvironment(bounds)
    return PythonEnvironment(*map(_load_class, spec.split(",")), bounds=bounds)


def _load_class(name: str) -> type:
    return import_class(name, f"environment {name!r}", "write it as package.module:Class, or bfcl")
