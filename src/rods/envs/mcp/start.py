"""A task's start state for one server: files in its folder, and calls."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic.dataclasses import dataclass

from rods.errors import UserError, first_problem


@dataclass(config=ConfigDict(extra="forbid"), frozen=True)
class StartState:
    """What is done to a fresh server before the task begins.

    Attributes:
        files: path in the session's folder -> its text; None removes the file.
        calls: calls as text, in order; each must succeed.
    """

    files: dict[str, str | None] = Field(default_factory=dict)
    calls: list[str] = Field(default_factory=list)

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, str | None]) -> dict[str, str | None]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
                raise ValueError(f"{name!r}: must be a path in the session's folder")
        return files

    def write(self, folder: Path) -> None:
        """Write the files.

        Raises:
            OSError: a file cannot be written, or its path leaves the folder by a link.
        """
        root = folder.resolve()
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() or not path.parent.resolve().is_relative_to(root):
                raise OSError(f"{name} leads out of the folder")
            if text is None:
                path.unlink(missing_ok=True)
                continue
            beside = path.with_name(f".{path.name}.new")
            beside.write_text(text)
            os.replace(beside, path)


STATE: TypeAdapter[StartState] = TypeAdapter(StartState)


def start_state(where: str, entry: Any) -> StartState:
    """The checked form of a task's entry for one server.

    Raises:
        UserError: it has another form.
    """
    try:
        return STATE.validate_python(entry or {})
    except ValidationError as error:
        form = "write {files: {path: text}, calls: [text]}"
        raise UserError(f"{where}: {first_problem(error)}; {form}") from None
