"""Text that differs from session to session: the folder's path, clocks, and ids.

The folder has one name for the agent in all sessions. What `mask` matches is replaced by its name.
What `ids` matches gets a number in the order in which the agent sees it, and the agent may write it
in arguments. In a state both are only replaced by their name, since a state has no order.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

from rods.envs.mcp.config import ServerConfig
from rods.envs.state import encode
from rods.errors import hidden


class Masks:
    """What varies in one session of one server.

    Args:
        folder: of the session; None: it has none.
    """

    def __init__(self, config: ServerConfig, folder: Path | None) -> None:
        self._folder = str(folder) if folder else ""
        self._alias = f"/{config.name}"
        self._paths = [(self._folder, self._alias)] if folder else []
        if folder:  # a server may name what is beside the folder in a refusal
            place, root = folder.parent, folder.parent.parent
            beside = (
                (f"{place}/", "/"),
                (str(place), "/"),
                (f"{root}/", "/../"),
                (str(root), "/.."),
            )
            self._paths += beside
        self._written = re.compile(rf"(?<![\w./~-]){re.escape(self._alias)}(?=/|$|[^\w.-])")
        settings = config.settings
        self._masks = [(f"<{name}>", re.compile(text)) for name, text in settings.mask.items()]
        self._ids = [(name, re.compile(text)) for name, text in settings.ids.items()]
        self._named = re.compile(rf"\b(?:{'|'.join(map(re.escape, settings.ids))})-\d+\b")
        self._aliases: dict[str, str] = {}
        self._values: dict[str, str] = {}

    def shown(self, text: str) -> str:
        """A response as the agent sees it, and as it is compared."""
        text = self._plain(hidden(text))
        for name, pattern in self._ids:
            text = pattern.sub(partial(self._alias_of, name), text)
        return text

    def compared(self, value: Any) -> Any:
        """Plain data of a state, with the same text in all sessions."""
        text = json.dumps(value)
        return self._compared(value, secrets=hidden(text) != text)

    def _compared(self, value: Any, secrets: bool) -> Any:
        if isinstance(value, str):
            text = self._plain(hidden(value) if secrets else value)
            for name, pattern in self._ids:
                text = pattern.sub(f"<{name}>", text)
            return text
        if isinstance(value, dict):
            found: dict[str, list[Any]] = {}
            for key, inner in value.items():
                name = self._compared(key, secrets)
                found.setdefault(name, []).append(self._compared(inner, secrets))
            # Keys that differ only in an id become one, with the list of their values.
            return {k: v[0] if len(v) == 1 else sorted(v, key=encode) for k, v in found.items()}
        if isinstance(value, list):
            return [self._compared(inner, secrets) for inner in value]
        return value

    def meant(self, value: Any) -> Any:
        """Arguments of the agent as the server takes them."""
        if isinstance(value, str):
            if self._folder:
                value = self._written.sub(lambda _: self._folder, value)
            if self._values:
                value = self._named.sub(lambda found: self._values.get(found[0], found[0]), value)
            return value
        if isinstance(value, dict):
            return {self.meant(key): self.meant(inner) for key, inner in value.items()}
        return [self.meant(inner) for inner in value] if isinstance(value, list | tuple) else value

    def _plain(self, text: str) -> str:
        for path, alias in self._paths:
            text = text.replace(path, alias)
        for name, pattern in self._masks:
            text = pattern.sub(name, text)
        return text

    def _alias_of(self, name: str, found: re.Match[str]) -> str:
        value = found[0]
        known = self._aliases.get(value)
        if known is None:
            number = sum(alias.startswith(f"{name}-") for alias in self._values) + 1
            known = self._aliases[value] = f"{name}-{number}"
            self._values[known] = value
        return known
