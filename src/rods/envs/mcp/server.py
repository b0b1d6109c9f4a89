"""A server that runs, in a folder of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rods.envs.mcp.config import ServerConfig
from rods.envs.mcp.connection import Connection
from rods.envs.mcp.faults import ServerEnded, ServerFault, ServerRefused, ServerSlow
from rods.envs.mcp.masks import Masks
from rods.envs.mcp.template import Template, clear
from rods.envs.mcp.view import UnreadableError, folder_state, in_order
from rods.task import Call

Named = Callable[[str], str]  # from the name of a tool in calls to the server's own


class Server:
    """One server from its start to its end; it serves one session at a time.

    Args:
        place: a folder that exists, for this server alone; None: by url.
        named: returns the server's own name of a tool.
        variables: added to those of its process.
    """

    def __init__(
        self,
        config: ServerConfig,
        template: Template,
        place: Path | None,
        named: Named,
        variables: Mapping[str, str],
    ) -> None:
        self.config, self._template, self._place, self._named = config, template, place, named
        # The folder's own name is the same in all sessions: servers show it.
        self.folder = place / config.name if place else None
        self._connection = Connection(config, self.folder, variables)
        self._ended = False

    async def start(self) -> list[dict[str, Any]]:
        """Start it on a fresh copy of the template; its tools, as on the wire.

        Raises:
            ServerFault, UserError: it cannot be used; it is stopped.
        """
        try:
            if self.folder is not None:
                await asyncio.to_thread(self._template.copy, self.folder)
            await self._connection.open()
            return await self._connection.list_tools()
        except OSError as error:
            await self.stop()
            raise ServerFault(f"{self.config.where}: its folder: {error}") from None
        except BaseException:
            await self.stop()
            raise

    @property
    def alive(self) -> bool:
        """Whether it can take calls, as far as is known."""
        return not self._ended and self._connection.alive

    @property
    def changed(self) -> bool:
        """Whether the server said that its tools changed since they were listed."""
        return self._connection.changed

    async def list_tools(self) -> list[dict[str, Any]]:
        """The tools again; see `Connection.list_tools`."""
        return await self._connection.list_tools()

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The result of a tool by its own name; see `Connection.call`."""
        return await self._connection.call(name, arguments)

    async def snapshot(self, masks: Masks, probes: Sequence[Call]) -> dict[str, Any]:
        """The state: the files that the configuration names, and the responses of the probes.

        Raises:
            ServerFault: it cannot be read.
        """
        state: dict[str, Any] = {}
        try:
            if self.folder is not None and self.config.files:
                state = await asyncio.to_thread(folder_state, self.config, self.folder)
            for probe in probes:
                result = await self.call(self._named(probe.name), masks.meant(probe.arguments))
                state |= _by_name(str(probe), _content(result), state)
        except UnreadableError as error:
            raise ServerFault(f"{self.config.where}: state.files: {error}") from None
        except (ServerEnded, ServerSlow, ServerRefused) as error:
            raise ServerFault(f"{self.config.where}: state.calls: {probe}: {error}") from None
        return in_order(masks.compared(state))

    async def reset(self, clear_by: Call | None) -> None:
        """Bring back the start state of a server that goes on running.

        Args:
            clear_by: a call that does it; None: the files are put back.

        Raises:
            ServerFault: it fails.
        """
        try:
            if self.folder is not None:
                await asyncio.to_thread(self._template.restore, self.folder)
            if clear_by is not None:
                result = await self.call(self._named(clear_by.name), dict(clear_by.arguments))
                if result.get("isError"):
                    raise ServerRefused(str(_content(result))[:200])
        except (OSError, ServerEnded, ServerSlow, ServerRefused) as error:
            raise ServerFault(f"{self.config.where}: reset: {error}") from None

    def kill(self) -> None:
        """End its process at once; `stop` must follow."""
        self._ended = True
        self._connection.kill()

    async def stop(self) -> None:
        """End it, and remove its folder."""
        self._ended = True
        await self._connection.close()
        if self._place is not None:
            await asyncio.to_thread(_removed, self._place)

    @property
    def pid(self) -> int | None:
        """Of its process, if it is one of ours."""
        return self._connection.pid


def _by_name(probe: str, content: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    """What a probe shows, as parts of a state: the fields of a mapping, which have names."""
    if not isinstance(content, dict):
        return {probe: content}
    return {(f"{probe}: {name}" if name in state else name): v for name, v in content.items()}


def _removed(place: Path) -> None:
    try:
        clear(place)
    except OSError:  # a process that the server left behind still writes there
        return


def _content(result: dict[str, Any]) -> Any:
    """A result as plain data."""
    if "structuredContent" in result:
        return result["structuredContent"]
    texts = [block.get("text", block) for block in result.get("content", ())]
    text = texts[0] if len(texts) == 1 else texts
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return text
