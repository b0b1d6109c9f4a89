"""The file behind `--env mcp:FILE`: the `mcpServers` that people have, and how each is replayed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rods.envs.mcp.file import Entry, McpFile, ServerLimits, ServerSettings
from rods.errors import UserError, declare_secret
from rods.files.plain_data import ReadError
from rods.files.reading import parse_json, read_checked

VARIABLE = re.compile(r"\$\{(?:env:)?(\w+)(?::-([^}]*))?\}")
FOLDER = "folder"  # "${folder}" is the session's own copy of the template
ALL = ("**",)


class ServerConfig:
    """One server, ready to be started.

    Attributes:
        template: an existing folder or file, or None.
        digest: of all that the file says about it.
    """

    def __init__(self, name: str, entry: Entry, settings: ServerSettings, file: Path) -> None:
        self.name, self.entry, self.settings = name, entry, settings
        self.where = f"{file}: {name}"
        self.limits = ServerLimits()
        self.base = file.absolute().parent
        written = [entry.model_dump(mode="json"), settings.model_dump(mode="json")]
        self.digest = hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()
        self.template = self.base / settings.template if settings.template else None
        if self.template is not None and not self.template.exists():
            raise UserError(f"{self.where}: template: {self.template} does not exist")
        self.reset = settings.reset or ("session" if entry.url else "process")
        if entry.url and (self.reset in ("process", "folder") or settings.template):
            message = "a server by url has no process and folder of ours; reset: session, or a call"
            raise UserError(f"{self.where}: {message}")
        if entry.url and settings.reset is None:
            message = "reset: is missing: session if the server keeps sessions apart, or a call"
            raise UserError(f"{self.where}: {message}")
        if not entry.url and self.reset == "session":
            raise UserError(f"{self.where}: reset: session is for a server by url")
        state = settings.state
        if state.files and self.template is None and self.entry.url:
            raise UserError(f"{self.where}: state.files: a server by url has no folder of ours")
        unnamed = not (state.files or state.calls) and self.template is not None
        self.files = ALL if unnamed else state.files

    @property
    def here(self) -> bool:
        """Whether the server runs in this process."""
        return self.entry.factory is not None

    @property
    def exclusive(self) -> bool:
        """Whether all sessions have one server, so that only one of them can be open."""
        return self.entry.url is not None and self.reset != "session"

    def expanded(self, text: str, folder: Path | None, *, secret: bool = False) -> str:
        """The text with its variables.

        Args:
            secret: no message may show their values.

        Raises:
            UserError: the process environment has no such variable.
        """

        def value(found: re.Match[str]) -> str:
            name, default = found[1], found[2]
            if name == FOLDER:
                if folder is None:
                    raise UserError(f"{self.where}: ${{folder}}: a server by url has no folder")
                return str(folder)
            given = os.environ.get(name, default)
            if given is None:
                raise UserError(f"{self.where}: ${{{name}}}: this environment variable is not set")
            if secret:
                declare_secret(name)
            return given

        return VARIABLE.sub(value, text)


def read_config(path: Path, *, one: bool = False) -> list[ServerConfig]:
    """The servers of a file that are not disabled.

    Args:
        one: at most one server of each kind runs.

    Raises:
        UserError: the file is unusable; the message names file and field.
    """
    found = read_checked(path, parse_json, _checked)
    made = []
    for name, entry in found.mcpServers.items():
        if entry.disabled:
            continue
        settings = found.rods.servers.get(name, ServerSettings())
        made.append(ServerConfig(name, entry, settings, path))
        alone = {"servers": 1, "warm": 0} if one else {}
        made[-1].limits = found.rods.limits.model_copy(update=alone)
    if not made:
        raise UserError(f"{path}: mcpServers: all are disabled")
    if len({config.here for config in made}) > 1:
        message = "servers with a factory and others cannot be together; use two files"
        raise UserError(f"{path}: mcpServers: {message}")
    return made


def _checked(data: Any) -> McpFile:
    if isinstance(data, Mapping) and "mcpServers" not in data and "servers" in data:
        raise ReadError('the servers are under "servers"; rename it to "mcpServers"')
    return McpFile.model_validate(data)
