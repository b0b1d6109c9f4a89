"""Failures that a person can mend."""

from __future__ import annotations

from pydantic import ValidationError


class UserError(Exception):
    """Unusable input or surroundings. The command line prints it as one line and exits with 2.

    The message names the file or key at fault and says what to do about it.
    """


class BusyError(UserError):
    """Another process does this work already."""


class NoProcessError(UserError):
    """No process for an environment's calls can be started; no task is the cause."""


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, as "field: what"."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
