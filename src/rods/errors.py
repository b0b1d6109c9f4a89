"""Failures that a person can mend."""

from __future__ import annotations

import errno

from pydantic import ValidationError

CLOSED = 141  # exit status that shells give a command whose output was closed
UNWRITABLE = 2


class UserError(Exception):
    """Unusable input or surroundings. The command line prints it as one line and exits with 2.

    The message names the file or key at fault and says what to do about it.
    """


class BusyError(UserError):
    """Another process does this work already."""


class NoProcessError(UserError):
    """No process for an environment's calls can be started; no task is the cause."""


class OutputError(Exception):
    """Standard output or error takes no more text.

    Attributes:
        status: exit status of a command that ends with it.
    """

    def __init__(self, name: str, error: OSError) -> None:
        closed = error.errno == errno.EPIPE
        what = "was closed" if closed else f"cannot be written: {error.strerror}"
        super().__init__(f"{name} {what}")
        self.status = CLOSED if closed else UNWRITABLE


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, as "field: what"."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
