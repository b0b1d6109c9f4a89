"""The state of a session's folder: texts, digests of other files, and the rows of SQLite files.

The folder is written by a server, so nothing in it is trusted: links are not followed, sizes and
times are bounded, and only tables are read, never views or triggers.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import time
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rods.envs.mcp.config import ServerConfig
from rods.envs.mcp.template import MEGABYTE, walk
from rods.envs.state import encode

SQLITE = b"SQLite format 3\0"
BESIDE = ("-wal", "-shm", "-journal")  # files of an open database; its content is read as rows
SECONDS = 5.0  # to read one database
ROWS = 50_000
STEPS = 10_000  # of SQLite's machine, between two looks at the clock


class UnreadableError(Exception):
    """A folder is too large or cannot be read."""


def folder_state(config: ServerConfig, folder: Path) -> dict[str, Any]:
    """The state of the files that the configuration names.

    Texts are in `files` by path, so that a value of a parameter is found as a path; databases in
    `tables`.

    Raises:
        UnreadableError: the message says why.
    """
    try:
        return _read(config, folder)
    except (OSError, sqlite3.Error) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from None


def in_order(state: dict[str, Any]) -> dict[str, Any]:
    """The state with the rows of each table sorted: their order is no part of it.

    They are sorted after what varies in them was masked.
    """
    tables = {
        file: {name: sorted(rows, key=encode) for name, rows in found.items()}
        for file, found in state.get("tables", {}).items()
    }
    return {**state, **({"tables": tables} if tables else {})}


def matches(path: str, globs: tuple[str, ...]) -> bool:
    """Whether a path is named; `**` is everything, and a folder names all that is in it."""
    return any(
        fnmatchcase(path, glob) or fnmatchcase(path, f"{glob.rstrip('/')}/*") for glob in globs
    )


def _read(config: ServerConfig, folder: Path) -> dict[str, Any]:
    files: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    limits, size, count = config.limits, 0, 0
    for path in walk(folder):
        name = path.relative_to(folder).as_posix()
        if name == "." or not matches(name, config.files):
            continue
        if matches(name, config.settings.state.ignore):
            continue
        status, count = path.lstat(), count + 1
        size += status.st_size
        if count > limits.files or size > limits.megabytes * MEGABYTE:
            bound = f"{limits.files} files or {limits.megabytes} MB"
            raise UnreadableError(f"the folder has more than {bound}")
        if stat.S_ISLNK(status.st_mode):
            files[name] = {"path": name, "link": os.readlink(path)}
        elif stat.S_ISDIR(status.st_mode):
            files[name] = {"path": name, "folder": True}
        elif not stat.S_ISREG(status.st_mode):
            files[name] = {"path": name, "special": True}
        elif _is_database(path):
            tables[name] = _tables(path)
        elif not (name.endswith(BESIDE) and _is_database(path.with_name(_main(name)))):
            files[name] = {"path": name, **_content(path)}
    return {"files": files, **({"tables": tables} if tables else {})}


def _content(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    try:
        return {"content": data.decode()}
    except UnicodeDecodeError:
        return {"sha256": hashlib.sha256(data).hexdigest()}


def _main(name: str) -> str:
    return name.rpartition("/")[2].rpartition("-")[0]


def _is_database(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:
        return False


def _tables(path: Path) -> dict[str, Any]:
    """The rows of each table, and all definitions."""
    end = time.monotonic() + SECONDS
    address = f"file:{quote(str(path))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=SECONDS)) as found:
        found.set_progress_handler(lambda: time.monotonic() > end, STEPS)
        found.execute("PRAGMA trusted_schema = OFF")
        named = found.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            " AND sql LIKE 'CREATE TABLE%' ORDER BY name"
        ).fetchall()
        other = found.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        tables: dict[str, Any] = {name: _rows(found, name) for name, _ in named}
    return {**tables, "schema": sorted(str(sql) for (sql,) in other)}


def _rows(found: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    quoted = table.replace('"', '""')
    cursor = found.execute(f'SELECT * FROM "{quoted}" LIMIT {ROWS + 1}')
    columns = [column[0] for column in cursor.description]
    rows = [
        {name: _plain(value) for name, value in zip(columns, row, strict=True)} for row in cursor
    ]
    if len(rows) > ROWS:
        raise UnreadableError(f"table {table} has more than {ROWS} rows")
    return rows


def _plain(value: Any) -> Any:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value
