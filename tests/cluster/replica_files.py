"""What the servers of a run leave beside its folder, so that a test knows how far they are."""

from __future__ import annotations

import os
from pathlib import Path


def asked_file(folder: Path) -> Path:
    """Has the latest step that a server was asked for an action of."""
    return folder.with_name(f"{folder.name}.asked")


def note_asked(folder: Path, step: int) -> None:
    """Write it, whole at any moment; several servers may do so."""
    file = asked_file(folder)
    part = file.with_suffix(f".{os.getpid()}")
    part.write_text(str(step))
    part.replace(file)
