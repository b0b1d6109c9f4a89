"""Writes a folder of exported tasks, complete or not at all (`rods export`)."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rods.envs.task_file import chosen_spec
from rods.errors import UserError
from rods.export.bfcl import write_bfcl
from rods.export.items import Item, read_items
from rods.export.rows import write_nemo_gym, write_table, write_trl, write_verl
from rods.files.output import fill_folder
from rods.files.streams import resolved

FORMATS = {
    "bfcl": write_bfcl,
    "trl": write_trl,
    "verl": write_verl,
    "nemo-gym": write_nemo_gym,
    "parquet": write_table,
}
LEFT_OUT = {
    "bfcl": "the official checker refuses its ground truth",
    "nemo-gym": "it withholds tools, and a row has the same tools in all turns",
}
"""Why a format leaves tasks out."""


class Exported(NamedTuple):
    """How many tasks were written, and which were left out because the format cannot use them."""

    tasks: int
    left_out: list[Item]


def export(file: Path, form: str, out: Path, env: str = "bfcl") -> Exported:
    """Write the tasks of `file` as the new folder `out`.

    The files are written to a temporary folder near `out` and moved at the end.

    Args:
        form: one of `FORMATS`.
        env: name of the tasks' environment, see `load_environment`.

    Raises:
        UserError: the input is unusable or the format cannot express it, a library is missing, or
            the folder is not empty or cannot be written.
    """
    if form not in FORMATS:
        raise UserError(f"--format {form}: choose one of {', '.join(FORMATS)}")
    try:
        _vacant(out)
        env = chosen_spec(env, file)
        items = read_items(file, env)
        target = resolved(out)
        around = [target] if os.path.ismount(target) else target.parents
        near = next(folder for folder in around if folder.is_dir())
        with TemporaryDirectory(prefix=".rods-export-", dir=near) as temporary:
            made = Path(temporary) / "made"
            made.mkdir()
            left = FORMATS[form](made, items, env)
            if len(left) == len(items):
                raise UserError(f"{file}: no task that the format {form} can use")
            fill_folder(made, target)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror or error}") from None
    return Exported(len(items) - len(left), left)


def _vacant(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; name a new folder")
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out}: is not empty; name a new folder, or remove this one first")
