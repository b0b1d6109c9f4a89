"""A session: the servers of one task, and the calls so far.

A session that has no server, since it is new, forked, evicted, or its server ended, gets one with
its next step: a fresh server in which its calls are repeated. The responses must be the same again;
otherwise the session is lost, and only its episode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rods.envs.base import Observation, Outcome, Work
from rods.envs.calls import Bounds, CallError, Refusal, check_call
from rods.envs.mcp.faults import ServerEnded, ServerFault, ServerRefused, ServerSlow
from rods.envs.mcp.masks import Masks
from rods.envs.mcp.pool import Pool
from rods.envs.mcp.reply import observed
from rods.envs.mcp.server import Server
from rods.envs.mcp.start import StartState
from rods.envs.notation import parse_calls
from rods.envs.state import State
from rods.errors import shown
from rods.task import Call, ToolSpec

if TYPE_CHECKING:
    from rods.envs.mcp.environment import McpEnvironment


class Seat:
    """One server's place in a session.

    Attributes:
        server: None until it is needed.
        done: the calls so far, with their responses.
    """

    def __init__(self, session: McpSession, pool: Pool, start: StartState) -> None:
        self.session, self.pool, self.start = session, pool, start
        self.server: Server | None = None
        self.masks = Masks(pool.config, None)
        self.done: list[tuple[Call, Observation]] = []

    @property
    def busy(self) -> bool:
        """See `pool.Holder`."""
        return self.session.busy

    async def ready(self) -> Server:
        """The server, in the state after the calls so far.

        Raises:
            ServerFault: it cannot be brought there.
            NoProcessError: no server can be started.
        """
        if self.server is not None and self.server.alive:
            self.pool.used(self)
            if self.server.changed:
                await self.pool.kind.same_tools(self.server)
            return self.server
        self.drop()
        self.server = server = await self.pool.take(self)
        self.masks = Masks(self.pool.config, server.folder)
        try:
            await self._begin(server)
            for call, before in self.done:
                if await self.ask(call) != before:
                    message = f"{call} gave another result when it was repeated"
                    raise ServerFault(f"{self.pool.config.where}: {shown(message, 300)}")
        except (ServerEnded, ServerSlow) as error:
            self.drop()
            raise ServerFault(f"{self.pool.config.where}: repeating the calls: {error}") from None
        except BaseException:
            self.drop()
            raise
        return server

    async def ask(self, call: Call) -> Observation:
        """The observation of a call, which is not added to `done`.

        Raises:
            ServerEnded, ServerSlow: there is none.
        """
        assert self.server is not None
        config, arguments = self.pool.config, self.masks.meant(call.arguments)
        try:
            result = await self.server.call(self.pool.kind.named(call.name), arguments)
        except ServerRefused as error:
            text = self.masks.shown(f"Error during execution: {error}"[:2_000])
            return Observation(text, ok=False, raised=True)
        return observed(result, self.masks, config.settings.errors)

    def drop(self) -> None:
        """Give the server back; the next step gets another one."""
        self.pool.give(self)

    def kill(self) -> None:
        """End the server, whose state is unknown, and give it back."""
        if self.server is not None:
            self.server.kill()
        self.drop()

    async def _begin(self, server: Server) -> None:
        where = f"{self.pool.config.where}: start"
        try:
            if self.start.files and server.folder is None:
                raise ServerFault(f"{where}: files: a server by url has no folder of ours")
            if server.folder is not None:
                await asyncio.to_thread(self.start.write, server.folder)
        except OSError as error:
            raise ServerFault(f"{where}: files: {error}") from None
        specs = {name: tool.spec for name, tool in self.pool.kind.everything.items()}
        for text in self.start.calls:
            try:
                calls = parse_calls(text, specs)
            except CallError as error:
                raise ServerFault(f"{where}: calls: {error}") from None
            for call in calls:
                seen = await self.ask(call)
                if not seen.ok:
                    raise ServerFault(f"{where}: calls: {call} fails: {shown(seen.text, 200)}")


class McpSession:
    """A running copy of a task's servers; it shares none with another session.

    Attributes:
        busy: whether a step of it is executed at the moment.
        lost: why it is lost, or "".
    """

    def __init__(
        self,
        env: McpEnvironment,
        tools: Mapping[str, ToolSpec],
        starts: Mapping[str, StartState],
        bounds: Bounds,
    ) -> None:
        self._env, self._tools, self._starts, self._bounds = env, dict(tools), starts, bounds
        self._seats = {name: Seat(self, env.pools[name], starts[name]) for name in starts}
        self.busy, self.lost = False, ""

    def call(self, call: Call) -> Observation:
        (outcome,) = self._env.execute([Work(self, (call,))])
        if outcome.lost:
            return CallError(Refusal.PROCESS, outcome.lost).observation()
        return outcome.observations[0]

    def state(self) -> State:
        (outcome,) = self._env.execute([Work(self, (), None, True)])
        return outcome.state or State(None)

    def matches(self, state: State) -> bool:
        return bool(self._env.execute([Work(self, (), state)])[0].matches)

    def fork(self) -> McpSession:
        """A copy that makes its own servers by repeating the calls."""
        other = McpSession(self._env, self._tools, self._starts, self._bounds)
        for name, seat in self._seats.items():
            other._seats[name].done = list(seat.done)
        other.lost = self.lost
        return other

    def close(self) -> None:
        self.lost = self.lost or "closed"
        self._env.release(self)

    async def step(self, work: Work) -> Outcome:
        """Execute one step; an error loses the session.

        Raises:
            NoProcessError: no server can be started.
        """
        if self.lost:
            return Outcome((), lost=self.lost)
        try:
            seen = tuple([await self._do(call) for call in work.calls])
            state = await self._read() if work.snapshot or work.expected is not None else None
        except ServerFault as error:
            self.lost = str(error)
            self.drop()
            return Outcome((), lost=self.lost)
        except BaseException:  # it was interrupted: nobody knows what the servers did
            for seat in self._seats.values():
                seat.kill()
            raise
        matches = None if work.expected is None else state == work.expected
        return Outcome(seen, matches, state if work.snapshot else None)

    def drop(self) -> None:
        """Give all servers back."""
        for seat in self._seats.values():
            seat.drop()

    async def _do(self, call: Call) -> Observation:
        """A call that ends its server, or takes too long, is undone."""
        try:
            check_call(call, self._tools, self._bounds)
        except CallError as error:
            return error.observation()
        seat = self._seats[self._tools[call.name].owner]
        for repeated in (False, True):
            await seat.ready()
            try:
                seen = await seat.ask(call)
            except ServerSlow as error:
                seat.kill()
                self._env.note_stopped(call.name, Refusal.TIME)
                return CallError(Refusal.TIME, f"{error} and was undone").observation()
            except ServerEnded as error:
                seat.kill()
                if error.killed and not repeated:  # no call is the cause
                    continue
                self._env.note_stopped(call.name, Refusal.PROCESS)
                message = f"the call ended its server and was undone: {error}"
                return CallError(Refusal.PROCESS, seat.masks.shown(message)).observation()
            break
        seat.done.append((call, seen))
        return seen

    async def _read(self) -> State:
        found = {}
        for name, seat in self._seats.items():
            server = await seat.ready()
            found[name] = await server.snapshot(seat.masks, seat.pool.kind.probes)
        return State(found)
