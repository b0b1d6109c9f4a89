"""Checkpoints that TRL writes into a run's folder; the last file written marks a complete one."""

from __future__ import annotations

import shutil
from pathlib import Path

from rods.errors import UserError
from rods.files.output import sync_tree

FOLDER = "checkpoints"
MARK = "complete"


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint of the run in this folder."""
    found = [p.parent for p in (folder / FOLDER).glob(f"checkpoint-*/{MARK}")]
    return max(found, key=checkpoint_step, default=None)


def checkpoint_step(checkpoint: Path | None) -> int:
    """Updates that a checkpoint contains; 0 without one."""
    return int(checkpoint.name.rsplit("-", 1)[1]) if checkpoint else 0


def mark_complete(checkpoint: Path) -> None:
    """Mark a checkpoint whose files are all written."""
    sync_tree(checkpoint)
    (checkpoint / MARK).write_text("")
    sync_tree(checkpoint)


def drop_torn_checkpoints(folder: Path) -> None:
    """Delete checkpoints that a kill left incomplete; a new one would keep their temporary files.

    Raises:
        UserError: one cannot be deleted.
    """
    for checkpoint in (folder / FOLDER).glob("checkpoint-*"):
        if not (checkpoint / MARK).exists():
            try:
                shutil.rmtree(checkpoint)
            except OSError as error:
                problem = f"incomplete, and cannot be deleted: {error.strerror}; delete it"
                raise UserError(f"{checkpoint}: {problem}") from None
