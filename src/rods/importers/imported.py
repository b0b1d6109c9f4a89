"""What an importer makes of the tasks of another program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Imported:
    """Entries of a task file, and the tasks that were left out.

    Attributes:
        entries: the tasks, and a header before them if they have one.
        left_out: the name of each task that was left out -> the reason.
        dropped: the name of a task -> the reference calls that fail, with the error.
    """

    entries: list[dict[str, Any]]
    left_out: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)
