"""Where the folders of sessions are: one root for each process, private to the user."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

from rods.envs.mcp.template import clear

PREFIX = "rods-mcp-"
NAME = re.compile(rf"{PREFIX}(\d+)-\w+")


def new_root() -> Path:
    """A new folder of this process; those of processes that ended by force are removed."""
    base = Path(tempfile.gettempdir()).resolve()
    with contextlib.suppress(OSError):
        for entry in os.scandir(base):
            found = NAME.fullmatch(entry.name)
            own = found and entry.stat(follow_symlinks=False).st_uid == os.getuid()
            if found and own and not _runs(int(found[1])):
                removed(Path(entry.path))
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=base))


def removed(path: Path) -> None:
    """Remove a folder as far as possible."""
    with contextlib.suppress(OSError):
        clear(path)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
