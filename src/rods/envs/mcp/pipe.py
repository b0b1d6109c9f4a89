"""A server's process, and messages with it over standard input and output.

The server is not trusted: a line and all that it writes during one call are bounded, and the end of
its standard error is kept for messages. The process gets only the variables that the SDK gives to
servers, and those that the file names.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCMessage
from pydantic import TypeAdapter

from rods.errors import shown

MOST_LINE = 16_000_000  # bytes
MOST_WRITTEN = 64_000_000  # bytes in one call
KEPT = 2_000  # bytes of standard error
GRACE = 1.0  # seconds that a server has to end by itself, after its input is closed
MESSAGE: TypeAdapter[Any] = TypeAdapter(JSONRPCMessage)


class Pipe:
    """A process that is started once.

    Attributes:
        fault: why it was killed by us, or "".
        junk: the last line that was no message, or "".
        written: bytes since the last call began.
    """

    def __init__(
        self, command: Sequence[str], variables: Mapping[str, str], folder: Path | str
    ) -> None:
        self._command, self._variables, self._folder = command, variables, folder
        self._process: asyncio.subprocess.Process | None = None
        self._said = b""
        self.fault, self.junk, self.written = "", "", 0

    @contextlib.asynccontextmanager
    async def streams(self) -> AsyncIterator[tuple[Any, Any]]:
        """Start the process; the streams of messages from and to it, as the SDK takes them.

        Raises:
            OSError: there is no such command, or it cannot be started.
        """
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**get_default_environment(), **self._variables},
            cwd=self._folder,
            limit=MOST_LINE,
            start_new_session=True,  # its own group: killed as a whole, and not reached by Ctrl-C
        )
        incoming, read = anyio.create_memory_object_stream[Any](0)
        write, outgoing = anyio.create_memory_object_stream[Any](0)
        work = [self._read(incoming), self._write(outgoing, incoming), self._listen()]
        tasks = [asyncio.create_task(part) for part in work]
        try:
            yield read, write
        finally:
            await asyncio.shield(self._end())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for stream in (incoming, read, write, outgoing):
                stream.close()

    @property
    def runs(self) -> bool:
        """Whether the process has not ended, as far as is known."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill the process and all of its group."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def why(self) -> str:
        """How the process ended, in words, with the end of what it wrote."""
        status = await self._status()
        if self.fault:
            return self.fault
        said = shown(self._said.decode("utf-8", "replace").strip().rpartition("\n")[2], 300)
        if status is None:
            how = f"wrote a line that is no JSON ({self.junk})" if self.junk else "does not answer"
        elif status < 0:
            how = f"was ended by signal {-status}"
        else:
            how = f"ended with status {status}"
        return f"{how}: {said}" if said else how

    async def killed(self) -> bool:
        """Whether the process was killed from outside."""
        return not self.fault and await self._status() == -signal.SIGKILL

    async def _status(self) -> int | None:
        """Its exit status; None if it still runs."""
        if self._process is None:
            return None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._process.wait()), 0.5)
        return self._process.returncode

    async def _read(self, incoming: Any) -> None:
        assert self._process is not None and self._process.stdout is not None
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async with incoming:
                while line := await self._line(self._process.stdout):
                    self.written += len(line)
                    if self.written > MOST_WRITTEN:
                        self._stop(f"wrote more than {MOST_WRITTEN // 10**6} MB in one call")
                        return
                    try:
                        message = MESSAGE.validate_json(line)
                    except ValueError:
                        self.junk = shown(line[:400].decode("utf-8", "replace"), 100) or self.junk
                        continue
                    await incoming.send(SessionMessage(message))

    async def _line(self, source: asyncio.StreamReader) -> bytes:
        """The next line, or b"" at the end."""
        try:
            return await source.readline()
        except ValueError:
            self._stop(f"wrote a line of more than {MOST_LINE // 10**6} MB")
            return b""

    async def _write(self, outgoing: Any, incoming: Any) -> None:
        assert self._process is not None and self._process.stdin is not None
        target = self._process.stdin
        try:
            async for sent in outgoing:
                text = sent.message.model_dump_json(by_alias=True, exclude_unset=True)
                target.write(text.encode() + b"\n")
                await target.drain()
        except OSError:  # the server closed its input: what waits for an answer must learn it
            incoming.close()

    async def _listen(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        while said := await self._process.stderr.read(1 << 16):
            self._said = (self._said + said)[-KEPT:]

    def _stop(self, fault: str) -> None:
        self.fault = self.fault or fault
        self.kill()

    async def _end(self) -> None:
        """Close the server's input, wait, and kill what is left."""
        process = self._process
        assert process is not None and process.stdin is not None
        if process.returncode is None and not self.fault:
            process.stdin.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), GRACE)
        self.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE)
