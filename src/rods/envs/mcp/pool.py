"""The running servers of one kind: some warm, as many as the limits allow.

A server is given to a session and comes back reset, or is replaced by a new one. A session that
does not compute at the moment can be evicted: it gets another server later, in which its calls are
repeated. So more sessions can be open than servers may run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Protocol

from rods.envs.mcp.config import ServerConfig
from rods.envs.mcp.faults import ResetFault, ServerFault
from rods.envs.mcp.kind import ServerKind
from rods.envs.mcp.server import Server


class Holder(Protocol):
    """What holds a server of the pool."""

    server: Server | None

    @property
    def busy(self) -> bool:
        """Whether it computes at the moment."""


class Pool:
    """All servers of one kind. Its coroutines run in one event loop."""

    def __init__(self, config: ServerConfig, root: Path, variables: Mapping[str, str]) -> None:
        self.config, self.kind = config, ServerKind(config, root, variables)
        self._idle: list[Server] = []
        self._holders: dict[Holder, None] = {}
        self._alive, self._starting = 0, 0
        self._coming, self._waiting = 0, 0  # servers that come back, and holders that want one
        self._fault = ""
        self._work: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()

    @property
    def limit(self) -> int:
        """Most servers that run at the same time."""
        return 1 if self.config.exclusive else self.config.limits.servers

    async def prepare(self) -> None:
        """Start the first server, which waits for the first session.

        Raises:
            UserError: it cannot be started, or does not fit the file.
        """
        self._idle.append(await self.kind.prepare())
        self._alive = 1

    async def take(self, holder: Holder) -> Server:
        """A server in the start state, for one holder.

        Raises:
            ServerFault: no server comes back to the start state.
            NoProcessError: no server can be started.
        """
        self._waiting += 1
        try:
            server = await self._free()
        finally:
            self._waiting -= 1
        self._holders[holder] = None
        self._fill()
        return server

    def used(self, holder: Holder) -> None:
        """Note that a holder is the last one to be evicted."""
        if holder in self._holders:
            self._holders[holder] = self._holders.pop(holder)

    def give(self, holder: Holder) -> None:
        """Take the server of a holder back, and reset it or end it."""
        server, holder.server = holder.server, None
        self._holders.pop(holder, None)
        if server is not None:
            reused = server.alive and self.config.reset != "process"
            self._coming += 1
            self._spawn(self._back(server, reused))

    async def close(self) -> None:
        """End all servers; the next `take` starts new ones."""
        for holder in list(self._holders):
            self.give(holder)
        idle, self._idle = self._idle, []
        for server in idle:
            self._spawn(self._discard(server))
        while self._work:
            await asyncio.gather(*self._work, return_exceptions=True)
            idle, self._idle = self._idle, []
            for server in idle:
                self._spawn(self._discard(server))

    async def _free(self) -> Server:
        """A server that no session holds: an idle one, a new one, or that of an evicted session."""
        while True:
            if self._fault:
                raise ServerFault(self._fault)
            while self._idle:
                if (server := self._idle.pop()).alive:
                    return server
                self._spawn(self._discard(server))
            if self._alive < self.limit:
                return await self._start()
            victim = next((each for each in self._holders if not each.busy), None)
            if victim is not None and self._waiting > self._coming + self._starting:
                self.give(victim)
            self._freed.clear()
            await self._freed.wait()

    async def _start(self) -> Server:
        self._alive += 1
        try:
            return await self.kind.start()
        except BaseException:
            self._alive -= 1
            self._freed.set()
            raise

    def _fill(self) -> None:
        """Start servers in advance."""
        if self.config.reset != "session":
            wanted = self.config.limits.warm - len(self._idle) - self._starting
            for _ in range(min(wanted, self.limit - self._alive)):
                self._starting += 1
                self._spawn(self._warm())

    async def _warm(self) -> None:
        try:
            if self._alive < self.limit:
                self._idle.append(await self._start())
                self._freed.set()
        finally:
            self._starting -= 1

    async def _back(self, server: Server, reused: bool) -> None:
        try:
            await (self._renew(server) if reused else self._discard(server))
        finally:
            self._coming -= 1

    async def _renew(self, server: Server) -> None:
        """Reset a server for the next session."""
        try:
            if self.config.reset != "session":
                await self.kind.renew(server)
                self._idle.append(server)
                self._freed.set()
                return
        except ResetFault as error:
            self._fault = str(error)
        except ServerFault:  # this server is at fault; another one replaces it
            server.kill()
        await self._discard(server)

    async def _discard(self, server: Server) -> None:
        await server.stop()
        self._alive -= 1
        self._freed.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled():
            task.exception()  # the next `take` meets the same error itself
