"""Rows as files: JSON lines, and Parquet through pyarrow, which is only loaded here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, Self, TextIO

from rods.extras import require

BATCH = 500  # rows of a Parquet row group, and so the most that is held


class LineFiles:
    """Rows by file name; a file is created with its first row."""

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


def pyarrow() -> Any:
    """The library.

    Raises:
        UserError: it is not installed.
    """
    require("pyarrow")
    import pyarrow
    import pyarrow.parquet

    return pyarrow


def write_parquet(path: Path, rows: Iterable[dict[str, Any]], schema: Any) -> None:
    """Write rows, all of one schema.

    Raises:
        OSError: the file cannot be written.
        UserError: pyarrow is not installed.
    """
    library, left = pyarrow(), iter(rows)
    with library.parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(left, BATCH)):
            writer.write_table(library.Table.from_pylist(batch, schema=schema))
