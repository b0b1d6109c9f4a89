"""Files that are continued: one process at a time writes them, and earlier content is kept."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

from rods.errors import BusyError, UserError


def hold(path: Path, named: Path, start: bytes, what: str, instead: str) -> IO[bytes]:
    """Open the file and lock it for this process until it is closed; a missing file is made.

    Args:
        named: how messages name the file.
        start: how a valid file begins; one that ends within this beginning is valid too.
        what: what a valid file is, for messages.
        instead: the option that can name another file, for messages.

    Raises:
        BusyError: another process has locked it.
        UserError: it begins differently.
        OSError: it cannot be read or written.
    """
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                _check_own(file, path, start, what)
                return file
        except BlockingIOError:
            file.close()
            message = f"another process writes it; wait until that ends, or name {instead}"
            raise BusyError(f"{named}: {message}") from None
        except BaseException:
            file.close()
            raise
        file.close()  # the process that had locked it has just removed it


def remove_empty(file: IO[bytes], path: Path) -> None:
    """Remove a locked file if it is empty and can be removed."""
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and not status.st_size:
        with suppress(OSError):  # a mount, or a folder that cannot be written
            path.unlink()


def _check_own(file: IO[bytes], path: Path, start: bytes, what: str) -> None:
    file.seek(0)
    found = file.read(len(start))
    file.seek(0)
    if found != start[: len(found)]:
        raise UserError(f"{path}: line 1: not {what}; move the file away")
