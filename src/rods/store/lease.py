"""A lease on a run folder: one trainer and one synthesis worker at a time.

It is a lock of the kernel on an open file, so it ends with its process, however that ends. Children
do not keep it: Python opens files so that they close on exec, and a forked child closes its copy.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from rods.errors import BusyError


class Lease:
    """A lease that is held until `close` or the end of the process.

    Args:
        kind: "trainer" or "worker".

    Raises:
        BusyError: another process holds it.
        OSError: its file cannot be written.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self._file = open(folder / f"{kind}.lock", "ab+", buffering=0)  # noqa: SIM115
        _HELD.add(self)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.truncate(0)
            me = {"pid": os.getpid(), "host": socket.gethostname()}
            self._file.write(json.dumps(me).encode())
        except BlockingIOError:
            self.close()
            raise _busy(folder, kind) from None
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()


def _busy(folder: Path, kind: str) -> BusyError:
    who = holder(folder, kind)
    process = f" (process {who['pid']} on {who['host']})" if who else ""
    return BusyError(
        f"{folder}: another {kind} is at work here{process}; wait for it, stop it, or use another"
        " folder"
    )


_HELD: WeakSet[Lease] = WeakSet()


def _close_all() -> None:
    for lease in list(_HELD):
        lease.close()


os.register_at_fork(after_in_child=_close_all)


def holder(folder: Path, kind: str) -> dict[str, Any] | None:
    """The lease's holder as {"pid": ..., "host": ...}; None if it is not held or not known."""
    try:
        with open(folder / f"{kind}.lock", "rb+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                found = json.loads(file.read())
                return found if isinstance(found, dict) and {"pid", "host"} <= set(found) else None
    except (OSError, ValueError):
        pass
    return None


def alive(folder: Path, kind: str) -> bool:
    """Whether the process that the lease names runs here. The lock is not touched: a trainer that
    starts at this moment would find it held."""
    try:
        who = json.loads((folder / f"{kind}.lock").read_bytes())
        pid, host = int(who["pid"]), who["host"]
        os.kill(pid, 0)
        return bool(host == socket.gethostname()) and _has_open(pid, folder / f"{kind}.lock")
    except (OSError, ValueError, TypeError, KeyError):
        return False


def check_free(folder: Path, kind: str) -> None:
    """Refuse a folder whose lease a process of this machine holds, before long work for it begins.

    Nothing is written. Who takes the lease is decided by `Lease` alone.

    Raises:
        BusyError: see `Lease`.
    """
    if alive(folder, kind):
        raise _busy(folder, kind)


def kill_holder(folder: Path, kind: str) -> None:
    """Kill the process that holds the lease, if it is certainly known and not this process.

    The process id alone may now belong to another process, or to one in another container.
    """
    who = holder(folder, kind)
    if who and who["host"] == socket.gethostname():
        with suppress(OSError, ValueError):
            pid = int(who["pid"])
            if pid != os.getpid() and _has_open(pid, folder / f"{kind}.lock"):
                os.kill(pid, signal.SIGKILL)


def _has_open(pid: int, path: Path) -> bool:
    """Whether that process has the file open; True where /proc is missing."""
    if not Path("/proc/self/fd").exists():
        return True
    files, wanted = Path(f"/proc/{pid}/fd"), path.stat()
    return any(os.path.samestat(file.stat(), wanted) for file in files.iterdir() if file.exists())
