"""A client session of the SDK with one server, by any of the three ways to reach one.

The SDK enters and leaves its contexts in one task, so each connection has a task that keeps it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import mcp
from mcp import types
from mcp.client import streamable_http
from mcp.shared import exceptions

from rods.envs.mcp.config import ServerConfig
from rods.envs.mcp.faults import ServerEnded, ServerFault, ServerRefused, ServerSlow
from rods.envs.mcp.in_process import in_process
from rods.envs.mcp.pipe import Pipe
from rods.errors import UserError, shown
from rods.imports import import_object

PAGES = 100  # of a list of tools
CLOSED = -32000  # the SDK's code for a connection that ended
RpcError: type[Exception] = getattr(exceptions, "MCPError", None) or exceptions.McpError
VERSION_WORDS = "nsupported protocol version"


class Connection:
    """A running server; it is opened once.

    Attributes:
        changed: whether the server said that its list of tools changed.
    """

    def __init__(
        self, config: ServerConfig, folder: Path | None, variables: Mapping[str, str]
    ) -> None:
        self._config, self._folder, self._variables = config, folder, variables
        self._pipe: Pipe | None = None
        self._session: Any = None
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._refused = 0  # the last HTTP status of an error
        self.changed = False

    async def open(self) -> None:
        """Start or reach the server, and agree on a version of the protocol.

        Raises:
            ServerFault: it cannot be used.
            UserError: the file names a variable or a factory that does not exist.
        """
        ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(ready))
        limit = self._config.limits.start_seconds
        try:
            self._session = await asyncio.wait_for(ready, limit)
        except TimeoutError:
            why = await self._pipe.why() if self._pipe else "does not answer"
            await self.close()
            raise ServerFault(f"{self._config.where}: not ready in {limit:g} s: {why}") from None
        except UserError:
            raise
        except Exception as error:
            raise ServerFault(f"{self._config.where}: {await self._explained(error)}") from None

    async def list_tools(self) -> list[dict[str, Any]]:
        """The server's tools, as on the wire.

        Raises:
            ServerFault: it gives no list, or one without end.
        """
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        self.changed = False
        for _ in range(PAGES):
            page = types.PaginatedRequestParams(cursor=cursor)
            try:
                listed = await self._asked(self._session.list_tools(params=page))
            except (ServerEnded, ServerSlow, ServerRefused) as error:
                raise ServerFault(f"{self._config.where}: no list of tools: {error}") from None
            found += listed["tools"]
            cursor = listed.get("nextCursor")
            if not cursor:
                return found
        raise ServerFault(f"{self._config.where}: its list of tools has more than {PAGES} pages")

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The result of a tool, as on the wire.

        Raises:
            ServerRefused: it refused the call.
            ServerEnded, ServerSlow: there is no result, and the server is of no use any more.
        """
        return await self._asked(self._session.call_tool(name, arguments))

    async def close(self) -> None:
        """End the connection, and the server if it is a process of ours."""
        self._stop.set()
        if self._task is not None:
            if self._session is None:
                self._task.cancel()  # it waits for a server that is not ready
            await asyncio.wait([self._task])

    def kill(self) -> None:
        """End the process without a wait; `close` must follow."""
        if self._pipe is not None:
            self._pipe.kill()

    @property
    def alive(self) -> bool:
        """Whether it is open, as far as is known."""
        return not self._ended and (self._pipe is None or self._pipe.runs)

    @property
    def pid(self) -> int | None:
        """Of the server's process, if it is ours."""
        return self._pipe.pid if self._pipe else None

    async def _asked(self, request: Any) -> dict[str, Any]:
        limit = self._config.limits.call_seconds
        if self._pipe:
            self._pipe.written = 0
        try:
            result = await asyncio.wait_for(request, limit)
        except TimeoutError:
            raise ServerSlow(f"the call took more than {limit:g} s") from None
        except Exception as error:
            closed = isinstance(error, RpcError) and _code(error) == CLOSED
            # The SDK raises RuntimeError if an answer is not as the server's own schema says.
            if isinstance(error, RpcError | RuntimeError | ValueError) and not (
                closed or self._ended
            ):
                raise ServerRefused(_message(error)) from None
            raise await self._end(error) from None
        answer: dict[str, Any] = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        return answer

    @property
    def _ended(self) -> bool:
        return self._task is None or self._task.done()

    async def _end(self, error: Exception) -> ServerEnded:
        killed = bool(self._pipe) and await self._pipe.killed()  # type: ignore[union-attr]
        return ServerEnded(await self._explained(error), killed)

    async def _explained(self, error: BaseException) -> str:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if self._refused in (401, 403):
            way = "put its token into headers, as ${VARIABLE}"
            return f"needs a login (HTTP {self._refused}); {way}"
        text = shown(f"{type(error).__name__}: {_message(error)}", 300)
        if VERSION_WORDS in text:
            return f"speaks another version of the protocol: {text}"
        if isinstance(error, FileNotFoundError) and self._pipe:
            return f"command: {self._config.entry.command} is not installed, or cwd does not exist"
        if self._pipe and isinstance(error, RpcError):
            return await self._pipe.why()
        return f"{text} (HTTP {self._refused})" if self._refused else text

    async def _keep(self, ready: asyncio.Future[Any]) -> None:
        try:
            async with self._opened() as session:
                if not ready.done():
                    ready.set_result(session)
                await self._stop.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error if isinstance(error, Exception) else OSError(str(error)))
            elif not isinstance(error, Exception):
                raise

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[Any]:
        entry = self._config.entry
        if entry.factory is not None:
            async with in_process(self._made(entry.factory), self._hear) as session:
                yield session
            return
        opened = self._by_command() if entry.command is not None else self._by_url()
        async with (
            opened as (read, write),
            mcp.ClientSession(read, write, message_handler=self._hear) as session,
        ):
            await session.initialize()
            yield session

    @contextlib.asynccontextmanager
    async def _by_command(self) -> AsyncIterator[tuple[Any, Any]]:
        config, entry = self._config, self._config.entry
        assert entry.command is not None and self._folder is not None
        command = [config.expanded(text, self._folder) for text in (entry.command, *entry.args)]
        named = {k: config.expanded(v, self._folder, secret=True) for k, v in entry.env.items()}
        folder = config.expanded(entry.cwd, self._folder) if entry.cwd else str(self._folder)
        scratch = {"TMPDIR": str(self._folder.parent)}
        pipe = self._pipe = Pipe(command, {**scratch, **self._variables, **named}, folder)
        async with pipe.streams() as streams:
            yield streams

    @contextlib.asynccontextmanager
    async def _by_url(self) -> AsyncIterator[tuple[Any, Any]]:
        config, entry = self._config, self._config.entry
        assert entry.url is not None
        url = config.expanded(entry.url, None)
        headers = {k: config.expanded(v, None, secret=True) for k, v in entry.headers.items()}
        client = streamable_http.create_mcp_http_client(headers=headers)
        client.event_hooks["response"].append(self._note)
        async with client, streamable_http.streamable_http_client(url, http_client=client) as found:
            yield found[0], found[1]

    async def _note(self, response: Any) -> None:
        self._refused = response.status_code if response.status_code >= 400 else 0

    def _made(self, factory: str) -> Any:
        where = f"{self._config.where}: factory"
        made = import_object(factory, where, "write it as package.module:function")
        if not callable(made):
            return made
        parameters = inspect.signature(made).parameters
        return made(self._folder) if parameters else made()

    async def _hear(self, message: Any) -> None:
        """A notification of the server."""
        kind = type(getattr(message, "root", message)).__name__
        self.changed = self.changed or kind.startswith("ToolListChanged")


def _code(error: BaseException) -> int | None:
    return getattr(getattr(error, "error", None), "code", None)


def _message(error: BaseException) -> str:
    return str(getattr(getattr(error, "error", None), "message", None) or error)
