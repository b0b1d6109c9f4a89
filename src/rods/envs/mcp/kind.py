"""One kind of server: what all its servers have in common, and how one comes to the start state."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rods.envs.calls import DEFAULT, CallError
from rods.envs.mcp.config import ServerConfig
from rods.envs.mcp.difference import difference
from rods.envs.mcp.faults import ResetFault, ServerFault
from rods.envs.mcp.masks import Masks
from rods.envs.mcp.schema import ServerTool, server_tools
from rods.envs.mcp.server import Server
from rods.envs.mcp.template import Template
from rods.envs.notation import parse_calls
from rods.envs.state import same
from rods.errors import NoProcessError, UserError, shown
from rods.task import Call

STARTS = 3  # in a row that may fail


class ServerKind:
    """Makes servers.

    Attributes:
        tools: those of the agent by the name in calls; known after `prepare`.
        everything: those of the server.
        probes: the calls that read the state.
        started: how many servers were started.
    """

    def __init__(self, config: ServerConfig, root: Path, variables: Mapping[str, str]) -> None:
        self.config, self._root, self._variables = config, root, variables
        self.template = Template(config.where, config.template, config.limits)
        self.tools: dict[str, ServerTool] = {}
        self.everything: dict[str, ServerTool] = {}
        self.probes: tuple[Call, ...] = ()
        self.started = 0
        self._clear_by: Call | None = None
        self._listed: list[dict[str, Any]] = []
        self._first: dict[str, Any] | None = None  # the state of a fresh server

    async def prepare(self) -> Server:
        """The first server, which tells the tools.

        Raises:
            UserError: it cannot be started, or does not fit the file.
        """
        settings = self.config.settings
        try:
            server = self._new()
            self._listed = await server.start()
        except ServerFault as error:
            raise UserError(str(error)) from None
        try:
            self.tools = server_tools(self.config, self._listed, settings.tools)
            self.everything = server_tools(self.config, self._listed, None)
            self.probes = self._calls("state.calls", settings.state.calls)
            if "(" in self.config.reset:
                (self._clear_by,) = self._calls("reset", (self.config.reset,))
                await server.reset(self._clear_by)
            await self._check(server)
            if not same(self._first, again := await self._state(server)):
                place = difference(self._first, again)
                message = f"a second look at the state differs: {place}; mask it, or leave it out"
                raise ServerFault(f"{self.config.where}: state: {message}")
        except ServerFault as error:
            await server.stop()
            raise UserError(str(error)) from None
        except BaseException:
            await server.stop()
            raise
        return server

    async def start(self) -> Server:
        """A new server in the start state.

        Raises:
            ServerFault: it does not come to the start state, or has other tools.
            NoProcessError: no server can be started.
        """
        why = ""
        for _ in range(STARTS):
            server = self._new()
            try:
                listed = await server.start()
            except ServerFault as error:
                why = str(error)
                continue
            try:
                self._compare(listed)
                if self._clear_by is not None:
                    await server.reset(self._clear_by)
                await self._check(server)
            except BaseException:
                await server.stop()
                raise
            return server
        raise NoProcessError(f"environment {why} (tried {STARTS} times)")

    async def renew(self, server: Server) -> None:
        """Bring a server that was used back to the start state.

        Raises:
            ServerFault: it does not come there.
        """
        await server.reset(self._clear_by)
        await self._check(server)

    async def same_tools(self, server: Server) -> None:
        """Check the tools of a server that said that they changed.

        Raises:
            ServerFault: they did.
        """
        self._compare(await server.list_tools())

    def named(self, name: str) -> str:
        """The server's own name of a tool."""
        return self.everything[name].name

    def _new(self) -> Server:
        self.started += 1
        place = None
        if self.config.entry.url is None:
            place = Path(tempfile.mkdtemp(dir=self._root))
        return Server(self.config, self.template, place, self.named, self._variables)

    async def _check(self, server: Server) -> None:
        """Compare the state of a fresh server with that of the first one."""
        state = await self._state(server)
        if self._first is None:
            self._first = state
        elif not same(state, self._first):
            place = difference(self._first, state)
            way = "mask it or ignore it" if self._clear_by is None else "the reset leaves it"
            message = f"a fresh server has another state: {place}; {way}"
            raise ResetFault(f"{self.config.where}: reset {self.config.reset}: {message}")

    async def _state(self, server: Server) -> dict[str, Any]:
        return await server.snapshot(Masks(self.config, server.folder), self.probes)

    def _compare(self, listed: list[dict[str, Any]]) -> None:
        if listed != self._listed:
            before = {tool.get("name"): tool for tool in self._listed}
            after = {tool.get("name"): tool for tool in listed}
            names = [str(n) for n in {**before, **after} if before.get(n) != after.get(n)]
            message = f"its list of tools changed: {', '.join(names[:5]) or 'their order'}"
            raise ServerFault(f"{self.config.where}: {shown(message, 300)}")

    def _calls(self, field: str, texts: tuple[str, ...]) -> tuple[Call, ...]:
        specs = {name: tool.spec for name, tool in self.everything.items()}
        found: list[Call] = []
        for text in texts:
            try:
                found += parse_calls(text, specs, DEFAULT)
            except CallError as error:
                raise UserError(f"{self.config.where}: {field}: {error}") from None
        return tuple(found)
