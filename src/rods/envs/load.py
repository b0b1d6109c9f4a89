"""Environments by name, as the command line and worker processes ask for them."""

from __future__ import annotations

import importlib
import os
import sys

from rods.envs.base import Environment
from rods.envs.bfcl import BfclEnvironment
from rods.envs.calls import DEFAULT, Bounds
from rods.envs.python import PythonEnvironment
from rods.errors import UserError


def load_environment(spec: str, bounds: Bounds = DEFAULT) -> Environment:
    """`bfcl`, or `package.module:Class`, several of them joined by commas.

    Modules of the current directory can be named.

    Raises:
        UserError: no such module or class, or it cannot be imported or described.
    """
    if spec == "bfcl":
        return BfclEnvironment(bounds)
    return PythonEnvironment(*(_load_class(part) for part in spec.split(",")), bounds=bounds)


def _load_class(spec: str) -> type:
    module, colon, name = spec.strip().partition(":")
    if not (module and colon and name):
        raise UserError(f"environment {spec!r}: write it as package.module:Class, or bfcl")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (Exception, SystemExit) as error:  # whatever the module does when it is imported
        raise UserError(
            f"environment {spec!r}: {module} cannot be imported: {type(error).__name__}: {error}"
        ) from None
    if not isinstance(found, type):
        raise UserError(f"environment {spec!r}: {module} has no class {name!r}")
    return found
