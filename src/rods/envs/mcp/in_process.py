"""A client session with a FastMCP server of this process."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import mcp
from mcp.shared import memory


@contextlib.asynccontextmanager
async def in_process(server: Any, hear: Any) -> AsyncIterator[Any]:
    """A session with a server of this process, made by fastmcp or by the SDK."""
    for name in ("fastmcp", "mcp"):  # they log each failed call with its traceback
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if type(server).__module__.partition(".")[0] == "fastmcp":
        from fastmcp.client.transports import FastMCPTransport

        async with FastMCPTransport(server).connect_session(message_handler=hear) as session:
            await session.initialize()
            yield session
    elif hasattr(mcp, "Client"):  # the SDK from version 2 on
        async with mcp.Client(server, mode="legacy", message_handler=hear) as client:
            yield client.session
    else:
        opened = memory.create_connected_server_and_client_session(server, message_handler=hear)
        async with opened as session:
            yield session
