"""The file that keeps the progress of offline synthesis, so that an interrupted run is resumed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from rods.errors import UserError
from rods.files.held import hold
from rods.files.output import Output

PART = ".part"
GIVEN_UP = ".given_up.jsonl"
REFUSED = ".refused.jsonl"
START = b'{"settings":'


class PartFile:
    """The progress so far: lines of JSON next to the output, appended by one writer at a time.

    The first line has the settings, so that only a run with the same ones is resumed. An output
    that is no plain file (a device, a pipe) has no such file: its lines are kept in a file without
    a name, and an interrupted run starts again.

    Args:
        keep_refused: whether there is a file of refused tasks in the end.

    Raises:
        BusyError: another process writes this output.
        UserError: it cannot be written, or was begun with other settings.
    """

    def __init__(
        self, output: Output, settings: dict[str, Any], *, keep_refused: bool = False
    ) -> None:
        self.output, self.settings, self.keep_refused = output, settings, keep_refused
        self._first = f"{json.dumps({'settings': settings})}\n".encode()
        self._empty = False  # no batch is in the file, and this process holds it
        self.path: Path | None = None
        self.given_up: Path | None = None
        if output.through:
            self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        else:
            self.path = output.target.with_name(output.target.name + PART)
            self.given_up = output.target.with_name(output.target.name + GIVEN_UP)
            self._lost = Output(self.given_up, folders=True)
            refused = output.target.with_name(output.target.name + REFUSED)
            self._refused = Output(refused, folders=True)
            output.make_folders()
            what = "what a synthesis left unfinished"
            self._file = hold(self.path, output.path, START, what, "another file")

    def lines(self) -> Iterator[tuple[dict[str, Any], int]]:
        """The rows of the file, each with the position after it, up to a torn line.

        Raises:
            UserError: it was begun with other settings.
        """
        self._file.seek(0)
        place = 0
        for line in self._file:
            place += len(line)
            try:
                row = json.loads(line)
            except ValueError:
                return
            if not (isinstance(row, dict) and line.endswith(b"\n")):
                return
            if "settings" in row and row["settings"] != self.settings:
                raise UserError(f"{self.path}: was begun with other settings; remove it first")
            yield row, place

    def keep(self, place: int) -> None:
        """Append from a position on; the rest of the file is dropped."""
        self._file.truncate(place)
        self._file.seek(place)
        self._empty = place <= len(self._first)
        if not place:
            self._file.write(self._first)
            self._file.flush()

    def append(self, rows: Iterable[str]) -> None:
        """Add lines."""
        self._empty = False
        self._file.write("".join(f"{row}\n" for row in rows).encode())
        self._file.flush()

    def finish(self) -> None:
        """Write the tasks to the output; parents given up and refused tasks to their own files."""
        if self.path is not None:
            self._lost.write_bytes(self._beginning(b'{"given up"'))
            if self.keep_refused:
                self._refused.write_bytes(self._beginning(b'{"refused"'))
        self.output.write_bytes(self._beginning(b'{"category"'))
        if self.path is not None:
            self.path.unlink()

    def close(self) -> None:
        """Let other processes write. A file without a batch is removed."""
        if self.path is not None and self._empty:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def _beginning(self, start: bytes) -> Iterator[bytes]:
        self._file.seek(0)
        return (line for line in self._file if line.startswith(start))
