"""Names of streams that are open already, as `/dev/stdout` and `/dev/fd/3`.

Opened by its name, a plain file that others write too would be emptied, and one that was given for
reading would be overwritten.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path

from rods.terminal import stdout

STREAM = re.compile(
    r"/dev/(?:(stdin)|(stdout)|(stderr))|(?:/dev|/proc/(\d+)(?:/task/\d+)?)/fd/(\d+)"
)


def descriptor_of(path: Path) -> int | None:
    """The number of the open stream of this process that a name means, if it means one.

    Raises:
        OSError: no file can have that name.
    """
    seen = path
    for _ in range(40):  # as many links as the kernel follows
        seen = resolved(seen.parent) / seen.name
        if found := STREAM.fullmatch(str(seen)):
            *standard, process, number = found.groups()
            if process not in (None, str(os.getpid())):
                return None
            return int(number) if number else [bool(name) for name in standard].index(True)
        if not seen.is_symlink():
            return None
        seen = seen.parent / os.readlink(seen)
    return None


def check_given(descriptor: int) -> None:
    """Refuse a stream that is not open for writing, or that only this process itself opened.

    Raises:
        OSError: it is one.
    """
    mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    if mode == os.O_RDONLY or not os.get_inheritable(descriptor):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def is_stdout(descriptor: int) -> bool:
    """Whether a stream is this process's standard output."""
    with suppress(OSError, ValueError):
        return os.path.samestat(os.fstat(descriptor), os.fstat(stdout().fileno()))
    return False


def resolved(path: Path) -> Path:
    """The path with links followed.

    Raises:
        OSError: they lead in a circle, or a part of it has no name that a file can have.
    """
    try:
        return path.resolve()
    except RuntimeError:
        raise OSError(errno.ELOOP, "its links lead in a circle") from None
