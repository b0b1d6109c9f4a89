"""Failures that a person can mend, and what their messages may show.

An exception may quote a header, an address or a setting. `shown` removes the secrets of the process
environment and control characters from text before it is shown or stored.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable

from pydantic import ValidationError

CLOSED = 141  # exit status that shells give a command whose output was closed
UNWRITABLE = 2
SECRETS = re.compile(r"key|token|secret|passw|passphrase|credential|auth", re.IGNORECASE)
LEAST = 8  # characters; shorter values are placeholders such as EMPTY, which may occur in any text
MARK = "***"

log_notice: Callable[[str], None] = logging.getLogger("rods").warning
"""Where notices go by default: the log of the library."""
_declared: set[str] = set()  # environment variables that hold secrets, whatever their names


class UserError(Exception):
    """Unusable input or surroundings. The command line prints it as one line and exits with 2.

    The message names the file or key that is wrong and says how to mend it.
    """


class RepeatedError(UserError):
    """An error that the first process of a run reports; this is another of its processes."""


class BusyError(UserError):
    """Another process already does this work."""


class NoProcessError(UserError):
    """No process for an environment's calls can be started; the cause is not a task."""


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


def declare_secret(variable: str) -> None:
    """Treat this environment variable as a secret from now on."""
    _declared.add(variable)


def hidden(text: str) -> str:
    """The text with each secret replaced by `MARK`."""
    values = set[str]()
    for name, value in os.environ.items():
        if name in _declared or SECRETS.search(name):
            values |= {value.strip(), *(line.strip() for line in value.splitlines())}
    for value in sorted(values, key=len, reverse=True):  # one may be a part of another
        if len(value) >= LEAST:
            text = text.replace(value, MARK)
    return text


def shown(text: str, size: int) -> str:
    """One line of at most so many characters, without secrets and control characters."""
    return " ".join(printable(hidden(text)).split())[:size]


def printable(text: str, keep: str = "") -> str:
    """The text with a blank for each unprintable character that is not in `keep`.

    Terminals interpret some of these characters, and stores refuse some.
    """
    return "".join(c if c.isprintable() or c in keep else " " for c in text)
