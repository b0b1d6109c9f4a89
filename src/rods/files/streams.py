"""Names of streams that are already open, such as `/dev/stdout` and `/dev/fd/3`.

Such a stream must not be opened by its name: that would empty a plain file that other processes
write too, and overwrite one that was opened for reading.
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
    """The number of this process's open stream that a path names; None if it names no stream.

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
        OSError: it is such a stream.
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
        OSError: the links lead in a circle, or a part of the path cannot be the name of a file.
    """
    try:
        return path.resolve()
    except RuntimeError:
        raise OSError(errno.ELOOP, "its links lead in a circle") from None
