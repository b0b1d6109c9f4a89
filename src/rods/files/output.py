"""Writes results to whatever a user's path names: completely or not at all.

A plain file is replaced in one step by a complete one. Devices, pipes and names of open streams
(`/dev/stdout`) are written to and not replaced. A link remains; the file that it names is written.
If the folder allows no other file, or the file is a mount, the file is written in place: only then
can an interruption leave a part of it. A folder that is a mount is filled in place.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rods.errors import UserError
from rods.files.streams import check_given, descriptor_of, is_stdout, resolved

DATABASE = b"SQLite format 3\0"
IN_PLACE = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)
NAME = 100  # bytes of the output's name in that of the temporary file; names have at most 255


class Output:
    """A file to write. All that can be checked before any work is checked here.

    Args:
        folders: make the folders around it that are missing.

    Attributes:
        path: as the user named it.
        target: the file that is written, links followed.
        through: it is not a plain file, so it is written to and not replaced.
        on_stdout: it is this process's standard output; nothing else may be printed there.

    Raises:
        UserError: it cannot be written.
    """

    def __init__(self, path: Path, *, folders: bool = False) -> None:
        self.path = path
        with self.named():
            self.target = resolved(path)
            self._descriptor = descriptor_of(path)
            self.on_stdout = self._descriptor is not None and is_stdout(self._descriptor)
            if self._descriptor is not None:
                self.through = True
                check_given(self._descriptor)
                return
            kind = _kind(path)
            self.through = bool(kind and not stat.S_ISREG(kind))
            if kind and stat.S_ISDIR(kind):
                raise UserError(f"{path}: cannot be written: is a folder; name a file in it")
            if kind and not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            if not self.through:
                _check_folder(self.target.parent, folders=folders, exists=kind != 0)
            if stat.S_ISREG(kind) and _begins(self.target, DATABASE):
                raise UserError(f"{path}: is a database, such as that of a run; name another file")

    def differs(self, *others: Path | None) -> None:
        """Refuse a file that the command also reads or writes for another purpose.

        Raises:
            UserError: one of the others is this file.
        """
        for other in others:
            if other is not None and not self.through and _same(self.target, other):
                message = "the command uses this file for something else; name another one"
                raise UserError(f"{self.path}: {message}")

    def write(self, pieces: Iterable[str]) -> None:
        """Write text, as one string or in pieces; half characters become question marks.

        Raises:
            UserError: it cannot be written.
        """
        pieces = [pieces] if isinstance(pieces, str) else pieces
        self.write_bytes(piece.encode("utf-8", "replace") for piece in pieces)

    def write_bytes(self, pieces: Iterable[bytes]) -> None:
        """`write` for bytes."""
        with self.named():
            if self.through:
                _fill(self._stream(), pieces)
                return
            self.make_folders()
            whole = self._temporary()
            try:
                descriptor = _create(whole, self.target)
            except OSError as error:
                if error.errno not in IN_PLACE or not self.target.exists():
                    raise
                _fill(self.target, pieces)
                return
            try:
                _fill(descriptor, pieces)
                self.replace_by(whole)
            finally:
                whole.unlink(missing_ok=True)

    def replace_by(self, whole: Path) -> None:
        """Replace the output by a complete file, which may no longer exist afterwards.

        Raises:
            OSError: the output cannot be replaced.
        """
        if not self.through:
            try:
                os.replace(whole, self.target)
                return
            except OSError as error:
                if error.errno not in IN_PLACE or not self.target.exists():
                    raise
        with whole.open("rb") as source:
            pieces = iter(lambda: source.read(1 << 20), b"")
            _fill(self._stream() if self.through else self.target, pieces)

    def open_through(self) -> BinaryIO:
        """Open an output that is no plain file for writing; an open stream keeps its position.

        Raises:
            OSError: it cannot be opened.
        """
        return open(self._stream(), "wb")

    def _stream(self) -> Path | int:
        return self.path if self._descriptor is None else os.dup(self._descriptor)

    def make_folders(self) -> None:
        """Make the folders around it that are missing."""
        self.target.parent.mkdir(parents=True, exist_ok=True)

    def _temporary(self) -> Path:
        name = os.fsdecode(os.fsencode(self.target.name)[:NAME])
        return self.target.with_name(f".{name}.{secrets.token_hex(4)}.part")

    @contextmanager
    def named(self) -> Iterator[None]:
        """An OSError inside is reported as a failure to write this output.

        Raises:
            UserError: instead of an OSError.
        """
        try:
            yield
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written: {error.strerror or error}") from None


def fill_folder(made: Path, target: Path) -> None:
    """Replace a missing or empty folder by a complete one.

    Raises:
        OSError: it cannot be replaced; then nothing remains in the target.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not os.path.ismount(target):
        try:
            os.replace(made, target)
            return
        except OSError as error:  # some mounts are recognised only by this
            if error.errno not in IN_PLACE or not target.is_dir():
                raise
    moved = []
    try:
        for child in sorted(made.iterdir()):
            moved.append(target / child.name)
            shutil.move(child, target / child.name)
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise


def _kind(path: Path) -> int:
    """The mode of the file at a path, links followed; 0 if there is no file."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return 0


def _begins(path: Path, start: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(start)) == start
    except PermissionError:
        return False


def _same(one: Path, two: Path) -> bool:
    try:
        return os.path.samefile(one, two)
    except OSError:
        return one == Path(os.path.realpath(two))


def _check_folder(folder: Path, *, folders: bool, exists: bool) -> None:
    """Refuse a folder in which the file cannot be made, unless the file exists."""
    while folders and not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder")
    if not exists and not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _create(whole: Path, target: Path) -> int:
    """A new file with the permissions of the file that it will replace, or the usual ones."""
    descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    if target.exists():
        with suppress(OSError):
            os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
    return descriptor


def _fill(place: Path | int, pieces: Iterable[bytes]) -> None:
    with open(place, "wb") as file:
        file.writelines(pieces)
        file.flush()
        with suppress(OSError):  # pipes and terminals cannot be synchronised
            os.fsync(file.fileno())


def sync_tree(folder: Path) -> None:
    """Write all files of a folder through to the disk, so that they survive a power failure."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
