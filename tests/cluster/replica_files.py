"""Files beside a run's folder, by which the servers of a test and the test know of each other."""

from __future__ import annotations

import shutil
from pathlib import Path

ASKED, RELEASED, LOGGED = "asked", "released", "logged"


def beside(folder: Path, name: str) -> Path:
    """A file of the tests about this run."""
    return folder.with_name(f"{folder.name}.{name}")


def note_asked(folder: Path, step: int, place: int) -> None:
    """A server was asked for an action in a step, for the task at this place.

    Each has a file of its own, because several servers write.
    """
    there = beside(folder, ASKED)
    there.mkdir(exist_ok=True)
    (there / f"{step}-{place}").touch()


def asked_places(folder: Path, step: int) -> int:
    """For how many tasks of a step the servers have been asked."""
    return len([*beside(folder, ASKED).glob(f"{step}-*")])


def release(folder: Path) -> None:
    """The servers go on with the step that they hold."""
    beside(folder, RELEASED).touch()


def released(folder: Path) -> bool:
    """Whether they may."""
    return beside(folder, RELEASED).exists()


def forget(folder: Path) -> None:
    """Delete what was said about an earlier part of the run."""
    shutil.rmtree(beside(folder, ASKED), ignore_errors=True)
    beside(folder, RELEASED).unlink(missing_ok=True)
