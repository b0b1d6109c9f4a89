"""Files that one process at a time writes, and in which what stood before is kept."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from rods.errors import UserError


def hold(path: Path) -> IO[bytes]:
    """The file, made where it is missing, for this process alone until it is closed.

    Raises:
        BlockingIOError: another process holds it.
        OSError: it cannot be read or written.
    """
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # the process that held it has just removed it


def check_own(file: IO[bytes], path: Path, start: bytes, what: str) -> None:
    """Refuse a file that begins otherwise than ours do; a beginning that was torn off is ours.

    Raises:
        UserError: it does.
    """
    file.seek(0)
    found = file.read(len(start))
    file.seek(0)
    if found != start[: len(found)]:
        raise UserError(f"{path}: line 1: something else than {what}; move it away")
