"""What a synthesis has made so far: the file beside its output, with one writer at a time.

Its first line has the settings, so that it goes on only under the same ones. An output that is no
plain file (a device, a pipe) has nothing beside it: its lines wait in a file without a name, and an
interrupted run starts again.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from rods.errors import UserError
from rods.held import hold
from rods.output import Output

PART = ".part"
GIVEN_UP = ".given_up.jsonl"
START = b'{"settings":'


class Unfinished:
    """Lines of JSON, appended.

    Raises:
        BusyError: another process writes this output.
        UserError: it cannot be written, or was begun with other settings.
    """

    def __init__(self, output: Output, settings: dict[str, Any]) -> None:
        self.output, self.settings = output, settings
        self._first = f"{json.dumps({'settings': settings})}\n".encode()
        self._empty = False  # nothing was made yet, and the file is ours
        self.path: Path | None = None
        if output.through:
            self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        else:
            self.path = output.target.with_name(output.target.name + PART)
            lost = output.target.with_name(output.target.name + GIVEN_UP)
            self._lost = Output(lost, folders=True)
            output.make_folders()
            what = "what a synthesis left unfinished"
            self._file = hold(self.path, output.path, START, what, "another file")

    def lines(self) -> Iterator[tuple[dict[str, Any], int]]:
        """The rows of the file, each with the position behind it, up to a torn line.

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
        """Append from a position on; what follows it is dropped."""
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
        """The tasks in the output, and beside it the seeds that were given up, with why."""
        if self.path is not None:
            self._lost.write_bytes(self._beginning(b'{"given up"'))
        self.output.write_bytes(self._beginning(b'{"category"'))
        if self.path is not None:
            self.path.unlink()

    def close(self) -> None:
        """Let others write. A file in which nothing was made yet is removed."""
        if self.path is not None and self._empty:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def _beginning(self, start: bytes) -> Iterator[bytes]:
        self._file.seek(0)
        return (line for line in self._file if line.startswith(start))
