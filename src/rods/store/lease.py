"""A lease on a run folder: one trainer and one synthesis worker at a time.

The kernel holds it (a lock on a file that stays open), so it ends with its process whatever ended
that. Children do not inherit it, since Python opens files so that they close on exec.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path
from typing import Any

from rods.errors import BusyError


class Lease:
    """Held until `close`, or the end of the process.

    Args:
        kind: "trainer" or "worker".

    Raises:
        BusyError: another process holds it.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.path = folder / f"{kind}.lock"
        self._file = open(self.path, "a+")  # noqa: SIM115  held until close
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            who = holder(folder, kind)
            told = f" (process {who['pid']} on {who['host']})" if who else ""
            raise BusyError(
                f"{folder}: another {kind} is at work here{told}; wait for it, stop it, or use"
                " another folder"
            ) from None
        self._file.truncate(0)
        self._file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def holder(folder: Path, kind: str) -> dict[str, Any] | None:
    """Who holds the lease, as {"pid": ..., "host": ...}; None if nobody does or nobody can tell."""
    try:
        with open(folder / f"{kind}.lock", "r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                found = json.loads(file.read())
                return found if isinstance(found, dict) and {"pid", "host"} <= set(found) else None
    except (OSError, ValueError):
        pass
    return None
