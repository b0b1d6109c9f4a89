"""A cache of folders, each made once.

The key of a folder is everything that its content depends on; `code_digest` is in it if this
package makes the content. Its manifest is written last, so a folder with a manifest is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from rods import __version__
from rods.errors import UserError

Progress = Callable[[str, float], None]
"""Called with a stage's name and the share of it that is done."""

FORMAT = 5
LIBRARIES = ("HF_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "MPLCONFIGDIR")


def cache_folder() -> Path:
    """`$RODS_CACHE`, else the user's cache folder.

    Raises:
        UserError: the user has no home.
    """
    if place := os.environ.get("RODS_CACHE"):
        return Path(place)
    return _users_caches() / "rods"


def place_libraries() -> None:
    """Let the trainer's libraries use our cache where the user's cache cannot be written.

    They read the variables when they are imported, so call this before.

    Raises:
        UserError: no cache folder is usable, or one that a variable names cannot be made.
    """
    for variable in LIBRARIES:
        place = Path(os.environ.get(variable) or ".")
        if not place.exists() and not os.access(_existing(place), os.W_OK):
            raise UserError(f"{variable}={place}: cannot be made; name a folder that can be")
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        usable = os.access(_existing(_users_caches()), os.W_OK)
        if usable and (not given or Path(given).is_absolute()):
            return
    except UserError:
        pass
    folder = cache_folder()
    for variable in LIBRARIES:
        os.environ.setdefault(variable, str(folder / variable.lower()))


def _users_caches() -> Path:
    place = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if place.is_absolute():  # the XDG specification has relative paths ignored
        return place
    with suppress(RuntimeError):
        home = Path.home()
        if home.is_absolute():
            return home / ".cache"
    raise UserError("the user has no home to keep a cache in; set RODS_CACHE")


def _existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next((f for f in (folder, *folder.parents) if f.exists()), folder)


@cache
def code_digest() -> str:
    """Of the code and the data of this package. The version does not tell two commits apart."""
    return package_digest(Path(__file__).parent)


def package_digest(package: Path) -> str:
    """Of the names and the contents of a package's files, without what Python compiled."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and path.parent.name != "__pycache__":
            digest.update(
                f"{path.relative_to(package).as_posix()} {path.stat().st_size}\n".encode()
            )
            digest.update(path.read_bytes())
    return digest.hexdigest()


def cached(kind: str, key: list[Any], make: Callable[[Path], dict[str, Any]]) -> Path:
    """The folder of this kind and key; it is made if it does not exist.

    Args:
        make: fills an empty folder and returns the content of its `manifest.json`.

    Raises:
        UserError: the cache cannot be written.
    """
    text = json.dumps([FORMAT, __version__, *key], sort_keys=True)
    folder = cache_folder() / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if (folder / "manifest.json").exists():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    except OSError as error:
        raise UserError(
            f"{folder.parent}: the cache cannot be written ({error.strerror}); set RODS_CACHE"
        ) from None
    try:
        (work / "manifest.json").write_text(json.dumps(make(work), indent=1))
        if not (
            folder / "manifest.json"
        ).exists():  # else another run made it meanwhile, and may read it
            shutil.rmtree(folder, ignore_errors=True)
            work.rename(folder)
    except OSError as error:
        raise UserError(f"{work}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder
