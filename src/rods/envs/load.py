"""Environments by name, for the command line and worker processes."""

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
    """The environment `bfcl`, or `package.module:Class`, several of them joined by commas.

    A module of the current folder can be named, unless an installed one has the same name.

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
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)  # last, so that no file in it replaces an installed module
    try:
        loaded = importlib.import_module(module)
        found = getattr(loaded, name, None)
    except (Exception, SystemExit) as error:  # an import may raise anything
        raise UserError(
            f"environment {spec!r}: {module} cannot be imported: {type(error).__name__}: {error}"
        ) from None
    if not isinstance(found, type):
        file = getattr(loaded, "__file__", None) or "built in"
        raise UserError(
            f"environment {spec!r}: the module {module} ({file}) has no class {name!r}; if another"
            " file is meant, give it a name that no installed module has"
        )
    return found
