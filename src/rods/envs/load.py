"""Environments by name, as worker processes and the command line ask for them."""

from __future__ import annotations

from rods.envs.base import Environment
from rods.envs.bfcl import BfclEnvironment
from rods.envs.calls import Bounds
from rods.errors import UserError


def load_environment(spec: str, bounds: Bounds | None = None) -> Environment:
    """The environment of that name.

    Raises:
        UserError: there is none.
    """
    if spec == "bfcl":
        return BfclEnvironment(bounds)
    raise UserError(f"environment {spec!r}: there is no such environment")
