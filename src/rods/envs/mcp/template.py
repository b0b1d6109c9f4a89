"""The folder of a session: a copy of the template, which nothing else uses."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from rods.envs.mcp.file import ServerLimits
from rods.errors import UserError

MEGABYTE = 1_000_000
CHUNK = 1 << 20


class Template:
    """A folder or a file that was checked once; it must not change while it is used.

    Attributes:
        digest: of its names and contents.

    Raises:
        UserError: it is too large, or holds what cannot be copied; the message names the file.
    """

    def __init__(self, where: str, path: Path | None, limits: ServerLimits) -> None:
        self._where, self._path = f"{where}: template", path
        self.digest = "" if path is None else self._read(limits)

    def copy(self, folder: Path) -> None:
        """Make the folder anew as a copy; an empty folder if there is no template.

        Raises:
            OSError: it cannot be written.
        """
        clear(folder)
        if self._path is None:
            folder.mkdir(mode=0o700)
        elif self._path.is_dir():
            shutil.copytree(self._path, folder, symlinks=True)
        else:
            folder.mkdir(mode=0o700)
            shutil.copy2(self._path, folder / self._path.name)

    def restore(self, folder: Path) -> None:
        """Put the contents back, in a folder that a running server has open.

        Raises:
            OSError: it cannot be written.
        """
        if folder.is_symlink():
            raise OSError(f"{folder.name} became a link")
        for entry in os.scandir(folder):
            clear(Path(entry.path))
        if self._path is not None and self._path.is_dir():
            shutil.copytree(self._path, folder, symlinks=True, dirs_exist_ok=True)
        elif self._path is not None:
            shutil.copy2(self._path, folder / self._path.name)

    def _read(self, limits: ServerLimits) -> str:
        assert self._path is not None
        found, size = hashlib.sha256(), 0
        for files, path in enumerate(walk(self._path), 1):
            name, status = str(path.relative_to(self._path)), path.lstat()
            found.update(f"{name}\0{stat.S_IFMT(status.st_mode)}\0".encode())
            size += status.st_size
            if files > limits.files or size > limits.megabytes * MEGABYTE:
                bound = f"{limits.files} files or {limits.megabytes} MB"
                message = f"{self._path} has more than {bound}, and each session gets a copy"
                raise UserError(
                    f"{self._where}: {message}; give a smaller one, or raise the limits"
                )
            if path.is_symlink():
                self._check_link(path)
                found.update(os.readlink(path).encode())
            elif stat.S_ISREG(status.st_mode):
                with path.open("rb") as file:
                    while chunk := file.read(CHUNK):
                        found.update(chunk)
            elif not stat.S_ISDIR(status.st_mode):
                raise UserError(f"{self._where}: {path} is no file, folder or link")
        return found.hexdigest()

    def _check_link(self, path: Path) -> None:
        """A link must lead to something in the template, and also do so in a copy."""
        assert self._path is not None
        root, target = self._path.resolve(), os.readlink(path)
        inside = (path.parent / target).resolve()
        if os.path.isabs(target) or not inside.is_relative_to(root):
            message = f"{path} is a link out of it ({target}); copy the file instead"
            raise UserError(f"{self._where}: {message}")


def walk(path: Path) -> Iterator[Path]:
    """The path and all that is below it, in a fixed order; links are not followed.

    Raises:
        OSError: a folder cannot be read.
    """
    yield path
    if path.is_dir() and not path.is_symlink():
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            yield from walk(Path(entry.path))


def clear(path: Path) -> None:
    """Remove a file or folder, if it exists; links are not followed.

    Raises:
        OSError: it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        for folder, names, _ in os.walk(path):  # a server may have made a folder read-only
            for name in names:
                inner = Path(folder, name)
                if not inner.is_symlink():
                    inner.chmod(0o700)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
