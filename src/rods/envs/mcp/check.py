"""Checks the servers of a file, tool by tool (`rods envs check mcp:FILE`).

One list of calls, from the tasks and from the tools' schemas, is executed in three sessions: two of
one process, one after the other so that the second one has what the reset left, and one of another
process, with another hash seed and time zone. What differs is named, with what to add to the file.
The check finds mistakes; it proves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from rods.envs.base import ApartEnvironment, Observation, Session
from rods.envs.calls import STOPPED, CallLimits, retried
from rods.envs.check import CALLS, PROCESSES, READS
from rods.envs.checked import Checked
from rods.envs.guard import guard
from rods.envs.mcp.advice import advice, looks_failed
from rods.envs.mcp.difference import difference
from rods.envs.mcp.probes import Texts, probes
from rods.envs.mcp.schema import ServerTool
from rods.envs.state import State
from rods.errors import UserError, shown
from rods.task import BASE, Call, Task, Turn

if TYPE_CHECKING:
    from rods.envs.mcp.environment import McpEnvironment

WORLDS = 3  # tasks whose start states and calls are used


class Played(NamedTuple):
    """A list of calls in one session.

    Attributes:
        seen: the observation of each call.
        states: before the first call and after each one.
        lost: why the session was lost, or "".
        seconds: of all calls, without the states.
    """

    seen: list[Observation]
    states: list[State]
    lost: str
    seconds: float


def steps(tasks: Sequence[Task]) -> int:
    """How often `check` calls its `tick`."""
    return max(1, len(tasks[:WORLDS])) + len(tasks)


def check(
    env: McpEnvironment,
    tasks: Sequence[Task],
    limits: CallLimits | None,
    tick: Callable[[], object],
) -> Checked:
    """What is wrong with each tool and server, and what else is known.

    Args:
        limits: of the calls of servers in this process.
        tick: called after each part of the work.

    Raises:
        UserError: a server cannot be started.
    """
    found = _Findings(env)
    guard(env, limits).close()  # refuses limits that would have no effect
    one, two = (env.twin(variables, limits) for variables in PROCESSES)
    try:
        for number, world in enumerate(list(tasks[:WORLDS]) or [_blank(env)]):
            calls = _calls(env, one, world, [] if number else tasks)
            first = _played(one, world, calls)
            again = _played(one, world, calls)
            elsewhere = _played(two, world, calls)
            found.add(calls, first, again, elsewhere)
            tick()
        for task in tasks:
            ends = [_played(each, task, task.calls) for each in (one, two)]
            if any(end.lost for end in ends) or ends[0].seen != ends[1].seen:
                found.made.add("tasks", f"{task.source}: its ground truth ends differently")
            tick()
    finally:
        one.close()
        two.close()
    return found.all()


class _Findings:
    """Collects what is found; the same thing is said once."""

    def __init__(self, env: McpEnvironment) -> None:
        self._env = env
        self._tools: dict[str, ServerTool] = {
            name: tool
            for pool in env.pools.values()
            for name, tool in pool.kind.tools.items()
            if name in env.specs
        }
        rows = [*(f"server {name}" for name in env.pools), *self._tools]
        self.made = Checked({name: [] for name in rows})
        self.made.notes += (f"left out: {name}: {why}" for name, why in env.left_out.items())
        self._worked: dict[str, int] = dict.fromkeys(self._tools, 0)
        self._failed: dict[str, str] = {}
        self._writes: set[str] = set()
        self._varies: set[str] = set()
        self._calls, self._seconds = 0, 0.0

    def fact(self, name: str, text: str) -> None:
        """Note once what is no problem."""
        found = self.made.facts.setdefault(name, [])
        if text not in found:
            found.append(text)

    def add(self, calls: Sequence[Call], first: Played, again: Played, elsewhere: Played) -> None:
        """What three sessions with the same calls show."""
        for played in (first, again, elsewhere):
            if played.lost:
                self.made.add(_server(self._env, played.lost), played.lost)
                return
        self._calls += len(calls)
        self._seconds += first.seconds
        for index, call in enumerate(calls):
            self._one(call, index, first)
            if not self._compare(call, index, first, again, "a second session"):
                self._compare(call, index, first, elsewhere, "another process")

    def _one(self, call: Call, index: int, played: Played) -> None:
        seen, (before, after) = played.seen[index], played.states[index : index + 2]
        name, tool = call.name, self._tools[call.name]
        if seen.refused in STOPPED:
            self.made.add(name, f"{seen.refused}: {shown(f'{call}: {seen.text}', 200)}")
            return
        if not seen.ok:
            self._failed.setdefault(name, shown(seen.text, 100))
            return
        self._worked[name] += 1
        if looks_failed(seen.text):
            text = shown(seen.text, 60)
            self.fact(name, f"a response looks like an error ({text}): name it under errors")
        if after.digest == "":
            self.made.add(name, "leaves a state that cannot be read")
        if before != after:
            self._writes.add(name)
            if tool.reads:
                self.made.add(name, "says that it only reads, and changes the state")

    def _compare(self, call: Call, index: int, first: Played, other: Played, where: str) -> bool:
        """Whether a call differs between two sessions."""
        mine, theirs = first.seen[index], other.seen[index]
        same_before = first.states[index] == other.states[index]
        one, two = first.states[index + 1], other.states[index + 1]
        differs = mine != theirs or (one != two and same_before)
        if differs and (mine.ok or theirs.ok):
            self._varies.add(call.name)
        if mine != theirs and not (mine.ok or theirs.ok):
            self.fact(call.name, f"the message of a call that fails varies in {where}")
        elif mine != theirs:
            way = advice(mine.text, theirs.text)
            self.made.add(call.name, f"gives another result in {where}: {way}")
        elif differs:
            place = difference(one.data, two.data)
            self.made.add(call.name, f"leaves another state in {where}: {place}")
        return differs

    def all(self) -> Checked:
        """All findings, by tool in the servers' order."""
        for name, pool in self._env.pools.items():
            row = f"server {name}"
            if not (pool.config.files or pool.kind.probes):
                self.made.add(row, "no state is read: add state.files or state.calls")
            if self._calls:
                took = 1000 * self._seconds / self._calls
                self.fact(row, f"reset {pool.config.reset}, {took:.0f} ms a call")
        for name, tool in self._tools.items():
            self._about(name, tool)
        return self.made

    def _about(self, name: str, tool: ServerTool) -> None:
        if not tool.spec.description:
            self.made.add(name, "has no description")
        if tool.open_world:
            self.fact(name, "says that it reaches outside")
        if not self._worked[name]:
            why = f"no call succeeded: {self._failed[name]}" if name in self._failed else ""
            self.made.untried[name] = f"{why or 'it was not called'}; give --tasks"
            return
        if name not in self._varies:
            self.fact(name, "deterministic, reset")
        if name in self._writes:
            self.fact(name, "writes, seen in the state")
        elif tool.reads or READS.match(name):
            self.fact(name, "reads")
        else:
            self.fact(name, "changed nothing that the state shows: if it writes, add it to state")


def _calls(
    env: McpEnvironment, one: ApartEnvironment, world: Task, tasks: Sequence[Task]
) -> list[Call]:
    """The task's calls, some of all tasks, and calls by schema.

    Reads come first, since writes may remove things.
    """
    session = one.open(world)
    state = session.state().data
    if lost := _lost(session):
        raise UserError(lost)
    session.close()
    texts = {
        name: Texts((state or {}).get(name), f"/{name}" if config.entry.url is None else "")
        for name, config in env.classes.items()
    }
    made: list[Call] = []
    for name, spec in env.tools(world).items():
        gold = [call for task in tasks for call in task.calls if call.name == name]
        made += [*gold[:CALLS], *probes(spec, texts[spec.owner])]
    reads = [call for call in made if READS.match(call.name)]
    writes = [call for call in made if not READS.match(call.name)]
    return [*world.calls, *reads, *writes]


def _played(env: ApartEnvironment, task: Task, calls: Sequence[Call]) -> Played:
    session = env.open(task)
    seen: list[Observation] = []
    states, seconds = [session.state()], 0.0
    for call in calls:
        began = time.monotonic()
        seen.append(retried(partial(session.call, call), _stopped))  # the machine may have stalled
        seconds += time.monotonic() - began
        states.append(session.state())
        if _lost(session):
            break
    lost = _lost(session)
    session.close()
    return Played(seen, states, lost, seconds)


def _stopped(seen: Observation) -> bool:
    return seen.refused in STOPPED


def _lost(session: Session) -> str:
    return str(getattr(session, "lost", ""))


def _server(env: McpEnvironment, lost: str) -> str:
    for name, pool in env.pools.items():
        if pool.config.where in lost:
            return f"server {name}"
    return "servers"


def _blank(env: McpEnvironment) -> Task:
    turns = (Turn(user="-"),)
    return Task(category=BASE, classes=tuple(env.classes), start={}, turns=turns)
