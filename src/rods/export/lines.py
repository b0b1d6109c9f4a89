"""JSON-lines files of one folder, written side by side."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TextIO


class LineFiles:
    """Rows by file name; a file is there once it has a row."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack = folder, ExitStack()
        self._files: dict[str, TextIO] = {}

    def add(self, name: str, row: dict[str, Any]) -> None:
        """Write one row.

        Args:
            name: path of the file within the folder.

        Raises:
            OSError: it cannot be written.
        """
        if name not in self._files:
            path = self._folder / name
            path.parent.mkdir(exist_ok=True)
            self._files[name] = self._stack.enter_context(path.open("w", encoding="utf-8"))
        self._files[name].write(json.dumps(row) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
