"""Stopping a run by a signal.

The signal comes to the process of the command, and the trainer is in another one. So the command
leaves a file in the run's folder. The trainer looks for it after each step.
"""

from __future__ import annotations

from pathlib import Path
from types import FrameType

from rods.processes import Stopper

FILE = "stop"


class Stopped(Exception):
    """The run was stopped after a step, whose checkpoint is complete."""


class Asking(Stopper):
    """Inside its context the first SIGINT or SIGTERM asks the trainer to stop.

    A second one raises `KeyboardInterrupt`, as the first one does before there is a run.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.safe, self._file = True, folder / FILE

    def __enter__(self) -> Asking:
        self._file.unlink(missing_ok=True)
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._file.unlink(missing_ok=True)

    def _note(self, number: int, frame: FrameType | None) -> None:
        super()._note(number, frame)
        if not self._file.parent.is_dir():
            raise KeyboardInterrupt
        self._file.touch()


def stop_asked(folder: Path) -> bool:
    """Whether the run in this folder was asked to stop."""
    return (folder / FILE).exists()
