"""Checkpoints that an engine writes into a run's folder; the last file marks a complete one.

A checkpoint is a folder whose name is the engine's prefix and the number of updates.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from rods.errors import UserError
from rods.files.output import sync_tree

FOLDER = "checkpoints"
MARK = "complete"
TRL = "checkpoint-"
VERL = "global_step_"


def latest_checkpoint(folder: Path, prefix: str = TRL) -> Path | None:
    """The newest complete checkpoint of the run in this folder."""
    return max(complete_checkpoints(folder, prefix), key=checkpoint_step, default=None)


def complete_checkpoints(folder: Path, prefix: str = TRL) -> list[Path]:
    """The complete checkpoints of the run in this folder."""
    return [p.parent for p in (folder / FOLDER).glob(f"{prefix}*/{MARK}")]


def checkpoint_step(checkpoint: Path | None) -> int:
    """Updates that a checkpoint contains; 0 without one."""
    if checkpoint is None:
        return 0
    return int(checkpoint.name.removeprefix(TRL).removeprefix(VERL))


def mark_complete(checkpoint: Path) -> None:
    """Mark a checkpoint whose files are all written."""
    sync_tree(checkpoint)
    (checkpoint / MARK).write_text("")
    sync_tree(checkpoint)


def drop_torn_checkpoints(folder: Path, prefix: str = TRL) -> None:
    """Delete checkpoints that a kill left incomplete; a new one would keep their temporary files.

    Raises:
        UserError: one cannot be deleted.
    """
    for checkpoint in (folder / FOLDER).glob(f"{prefix}*"):
        if not (checkpoint / MARK).exists():
            try:
                shutil.rmtree(checkpoint)
            except OSError as error:
                problem = f"incomplete, and cannot be deleted: {error.strerror}; delete it"
                raise UserError(f"{checkpoint}: {problem}") from None


def keep_latest(folder: Path, count: int, prefix: str = TRL) -> None:
    """Delete all complete checkpoints but the newest ones.

    The mark goes first, so that a kill in between leaves none that only looks complete.
    """
    for checkpoint in sorted(complete_checkpoints(folder, prefix), key=checkpoint_step)[:-count]:
        (checkpoint / MARK).unlink()
        shutil.rmtree(checkpoint, ignore_errors=True)
