"""A cache of folders that are made once, as a whole.

Each is keyed by everything that shapes it. Its manifest is written last, so a folder with a
manifest is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rods import __version__
from rods.errors import UserError

Progress = Callable[[str, float], None]
"""Called with a stage's name and the share of it that is done."""

FORMAT = 5


def cache_folder() -> Path:
    """`$RODS_CACHE`, else the user's cache directory."""
    if "RODS_CACHE" in os.environ:
        return Path(os.environ["RODS_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rods"


def cached(kind: str, key: list[Any], make: Callable[[Path], dict[str, Any]]) -> Path:
    """The folder of this kind and key, made first where it is not there yet.

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
        if not (folder / "manifest.json").exists():  # else another run was faster, and reads it
            shutil.rmtree(folder, ignore_errors=True)
            work.rename(folder)
    except OSError as error:
        raise UserError(f"{work}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder
