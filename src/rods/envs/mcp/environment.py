"""MCP servers as an environment: `mcp:FILE`.

Each server of the file is a class of the environment, and its tools are the server's own. A session
has servers of its own, in folders of their own.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import os
import weakref
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rods.envs.base import ApartEnvironment, Outcome, Work
from rods.envs.calls import DEFAULT, Bounds, CallLimits
from rods.envs.checked import Checked
from rods.envs.choice import MCP, Named, choose_of
from rods.envs.guard import GuardedEnvironment
from rods.envs.mcp.config import ServerConfig, read_config
from rods.envs.mcp.host import Host
from rods.envs.mcp.place import new_root, removed
from rods.envs.mcp.pool import Pool
from rods.envs.mcp.session import McpSession
from rods.envs.mcp.start import start_state
from rods.errors import UserError
from rods.task import Task, ToolSpec

SECONDS = 10.0  # to end all servers of an environment


class McpEnvironment:
    """The servers of one file.

    Args:
        file: see docs/mcp.md.
        words: the choice of tools, see `choice`; None: all that the file names.
        variables: added to those of the servers' processes.
        one: at most one server of each kind runs.

    Attributes:
        classes: the servers by name.
        specs: the tools of all servers, by name.
        apart: whether calls run in processes that can be killed.

    Raises:
        UserError: the file or a server is unusable.
    """

    def __init__(
        self,
        file: Path,
        bounds: Bounds = DEFAULT,
        variables: Mapping[str, str] | None = None,
        *,
        words: tuple[str, ...] | None = None,
        one: bool = False,
    ) -> None:
        self.file, self._bounds, self._words = file, bounds, words
        configs = read_config(file, one=one)
        self.classes: dict[str, ServerConfig] = {config.name: config for config in configs}
        self.apart = not configs[0].here
        self.name = str(Named(MCP + _relative(file), words))
        self.left_out: dict[str, str] = {}
        self._stopped = Counter[str]()
        self._root = new_root()
        self._host = Host()
        self.pools: dict[str, Pool] = {}
        self._finalize = _when_unused(self, self._host, self.pools, self._root)
        try:
            self.pools.update({c.name: Pool(c, self._root, variables or {}) for c in configs})
            self._host.run(_all(pool.prepare() for pool in self.pools.values()))
            self.specs = self._all_tools()
        except BaseException:
            self._finalize()
            self._host.join(SECONDS)
            raise
        self._at_once = asyncio.Semaphore(min(pool.limit for pool in self.pools.values()))
        parts = [f"{p.config.digest} {p.kind.template.digest}" for p in self.pools.values()]
        parts += [spec.model_dump_json() for spec in self.specs.values()]
        self.version = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    def tools(self, task: Task) -> dict[str, ToolSpec]:
        return {name: spec for name, spec in self.specs.items() if spec.owner in task.classes}

    def open(self, task: Task) -> McpSession:
        """A session; it gets servers that are processes with its first step."""
        where, starts = f"task {task.label}", {}
        for name in task.classes:
            if name not in self.classes:
                raise UserError(f"{where}: no server {name!r} in {self.name}")
            starts[name] = start_state(f"{where}: start.{name}", task.start.get(name))
        session = McpSession(self, self.tools(task), starts, self._bounds)
        if not self.apart:  # a guard gives more time to make a session than to make a call
            self.execute([Work(session, (), None, True)])
        return session

    def execute(self, steps: Sequence[Work]) -> list[Outcome]:
        """Execute the steps, those of different sessions at the same time.

        Raises:
            NoProcessError: no server can be started.
            InterruptedError: `interrupt` was called.
        """
        by_session: dict[McpSession, list[int]] = {}
        for index, step in enumerate(steps):
            assert isinstance(step.session, McpSession)
            by_session.setdefault(step.session, []).append(index)
        outcomes: dict[int, Outcome] = {}

        async def run(session: McpSession) -> None:
            async with self._at_once:
                session.busy = True
                try:
                    for index in by_session[session]:
                        outcomes[index] = await session.step(steps[index])
                finally:
                    session.busy = False

        self._host.run(_all(run(session) for session in by_session))
        return [outcomes[index] for index in range(len(steps))]

    def interrupt(self) -> None:
        """End all calls in progress, in all threads; their servers are ended."""
        self._host.interrupt()

    def release(self, session: McpSession) -> None:
        """Take the servers of a session back."""
        self._host.run(_now(session.drop))

    def stopped(self) -> Counter[str]:
        """Counts of calls that a limit stopped so far, by tool and limit."""
        return self._stopped.copy()

    def note_stopped(self, name: str, limit: str) -> None:
        """Count a call that a limit stopped."""
        self._stopped[f"{name}: {limit}"] += 1

    def close(self) -> None:
        """End all servers; the next call starts them again."""
        self._host.run(_all(pool.close() for pool in self.pools.values()))

    def check(
        self, tasks: Sequence[Task], limits: CallLimits | None, tick: Callable[[], object]
    ) -> Checked:
        from rods.envs.mcp.check import check

        return check(self, tasks, limits, tick)

    def check_steps(self, tasks: Sequence[Task]) -> int:
        from rods.envs.mcp.check import steps

        return steps(tasks)

    def twin(
        self, variables: Mapping[str, str], limits: CallLimits | None = None
    ) -> ApartEnvironment:
        """The same environment with one server of each kind, in processes with these variables."""
        if not self.apart:
            return GuardedEnvironment(self, limits, self._bounds, variables=dict(variables))
        return McpEnvironment(self.file, self._bounds, variables, words=self._words, one=True)

    def _all_tools(self) -> dict[str, ToolSpec]:
        found: dict[str, ToolSpec] = {}
        for pool in self.pools.values():
            for name, tool in pool.kind.tools.items():
                if name in found:
                    message = f"tool {name}: {found[name].owner} has one of that name too"
                    raise UserError(f"{pool.config.where}: {message}; leave one out with tools")
                found[name] = tool.spec
        return self._chosen(found)

    def _chosen(self, found: dict[str, ToolSpec]) -> dict[str, ToolSpec]:
        if self._words is None:
            return found

        def match(word: str) -> set[str]:
            return {n for n, spec in found.items() if spec.owner == word or fnmatchcase(n, word)}

        chosen = choose_of(tuple(found), self._words, match)
        if chosen.unknown or not chosen.names:
            word = chosen.unknown[0] if chosen.unknown else ",".join(self._words)
            raise UserError(f"environment {self.name}: {word!r} is no tool and no server")
        self.left_out = dict.fromkeys(chosen.left_out, "not chosen")
        return {name: found[name] for name in chosen.names}


def _when_unused(
    env: McpEnvironment, host: Host, pools: Mapping[str, Pool], root: Path
) -> weakref.finalize[Any, McpEnvironment]:
    """End an environment when it is not used any more, at the latest when the process ends."""
    for ended in [end for end in _ends if not end.alive]:
        del _ends[ended]
    end = weakref.finalize(env, _end, host, pools, root)
    end.atexit = False  # nothing would wait for it
    _ends[end] = host, pools, root
    return end


_ends: dict[weakref.finalize[Any, McpEnvironment], tuple[Host, Mapping[str, Pool], Path]] = {}


def _end(host: Host, pools: Mapping[str, Pool], root: Path) -> None:
    async def close() -> None:
        await _all(pool.close() for pool in pools.values())

    host.finish(close, lambda: removed(root))


@atexit.register
def _end_all() -> None:
    """When the process ends: end all environments, and wait for them."""
    for end, parts in _ends.items():
        if end.alive:  # it may do nothing any more when it is called
            _end(*parts)
    for host, _, _ in _ends.values():
        host.join(SECONDS)


def _relative(file: Path) -> str:
    """The path from the current folder, if the file is in it: the name is stored with tasks."""
    path = os.path.relpath(file)
    return os.path.abspath(file) if path.startswith(os.pardir) else path


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all, also if one of them fails; the first error is raised at the end.

    Args:
        work: a generator, so that nothing is made if this is never begun.
    """
    for found in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(found, BaseException):
            raise found


async def _now(act: Callable[[], None]) -> None:
    act()
