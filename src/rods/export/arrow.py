"""Parquet files through pyarrow, which is only loaded here."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from rods.extras import require

BATCH = 500  # rows a group, and so the most that is held


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
    """Write rows of one schema.

    Raises:
        OSError: the file cannot be written.
        UserError: pyarrow is not installed.
    """
    library, left = pyarrow(), iter(rows)
    with library.parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(left, BATCH)):
            writer.write_table(library.Table.from_pylist(batch, schema=schema))
