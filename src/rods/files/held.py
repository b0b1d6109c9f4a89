"""Files that one process at a time writes, and in which earlier content is kept."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

from rods.errors import BusyError, UserError


def hold(path: Path, named: Path, start: bytes, what: str, instead: str) -> IO[bytes]:
    """The file, made where it is missing, for this process alone until it is closed.

    Args:
        named: how messages name it.
        start: how a file of ours begins; one whose beginning was torn off is ours too.
        what: a file of ours is.
        instead: may be named while another process writes it.

    Raises:
        BusyError: another process holds it.
        UserError: it begins otherwise.
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
            message = f"another process writes it; wait until it is done, or name {instead}"
            raise BusyError(f"{named}: {message}") from None
        except BaseException:
            file.close()
            raise
        file.close()  # the process that held it has just removed it


def remove_empty(file: IO[bytes], path: Path) -> None:
    """Remove a held file into which nothing was written, if that can be done."""
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and not status.st_size:
        with suppress(OSError):  # a mount, or a folder that is not ours
            path.unlink()


def _check_own(file: IO[bytes], path: Path, start: bytes, what: str) -> None:
    file.seek(0)
    found = file.read(len(start))
    file.seek(0)
    if found != start[: len(found)]:
        raise UserError(f"{path}: line 1: something else than {what}; move it away")
