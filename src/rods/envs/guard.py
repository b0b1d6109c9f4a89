"""Runs an environment's calls in worker processes that may be killed.

A call that hangs, uses too much memory, or ends its process becomes an error observation of its own
episode and changes no state: the worker is replaced, and each session in it is made again from its
calls so far, which is exact because environments are deterministic. The steps of many sessions are
sent together, so an ordinary call costs a line in a file. If a worker is killed from outside, no
call is the cause: its operation is repeated once.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, cycle
from threading import RLock
from typing import Any, NamedTuple

from pydantic import Field

from rods.envs.base import Environment, Observation, Outcome, Work
from rods.envs.calls import DEFAULT, Bounds, CallError, Refusal
from rods.envs.child import Child
from rods.envs.state import State, decode
from rods.files.reading import Setting
from rods.task import Call, Task, ToolSpec

TASKS = 4_096  # tasks that a worker holds before it is restarted


class CallLimits(Setting):
    """Limits of one call."""

    seconds: float = Field(1.0, gt=0, le=3600, description="wall time of one call")
    megabytes: int = Field(512, ge=64, description="memory of a worker beyond its start")
    workers: int = Field(1, ge=1, le=256, description="processes; sessions are spread over them")


class GuardedEnvironment:
    """An environment whose sessions run in workers that can be killed.

    Args:
        inner: the same environment in this process, used only for its tools.
        limits: of each call.
        bounds: of each call's arguments.
        probe: whether the workers stop and record all that reaches outside them.
        variables: added to the workers' environment variables.
    """

    def __init__(
        self,
        inner: Environment,
        limits: CallLimits | None = None,
        bounds: Bounds = DEFAULT,
        *,
        probe: bool = False,
        variables: dict[str, str] | None = None,
    ) -> None:
        self.inner, self.limits = inner, limits or CallLimits()
        self.name, self.version = inner.name, inner.version
        seconds, megabytes = str(self.limits.seconds), str(self.limits.megabytes)
        arguments = [inner.name, seconds, megabytes, bounds.model_dump_json()]
        arguments += ["probe"] if probe else []
        children = [
            Child(arguments, self.limits.seconds, variables) for _ in range(self.limits.workers)
        ]
        self.lanes = [Lane(child, self.limits) for child in children]
        self._next = cycle(self.lanes)
        self._finalize = weakref.finalize(self, _kill, children)

    def tools(self, task: Task) -> dict[str, ToolSpec]:
        return self.inner.tools(task)

    def open(self, task: Task) -> GuardedSession:
        """A session that opens with its first step; an error is in that step's outcome."""
        return GuardedSession(self, next(self._next), task)

    def execute(self, steps: Sequence[Work]) -> list[Outcome]:
        """Execute the steps, those of different workers at the same time.

        Raises:
            UserError: no worker can be started.
        """
        by_lane: dict[Lane, list[int]] = {}
        for index, step in enumerate(steps):
            assert isinstance(step.session, GuardedSession)
            by_lane.setdefault(step.session.lane, []).append(index)
        outcomes: dict[int, Outcome] = {}

        def run(lane: Lane) -> None:
            own = by_lane[lane]
            outcomes.update(zip(own, lane.run([steps[i] for i in own]), strict=True))

        if len(by_lane) < 2:
            for lane in by_lane:
                run(lane)
        else:
            with ThreadPoolExecutor(len(by_lane)) as pool:
                list(pool.map(run, by_lane))
        return [outcomes[i] for i in range(len(steps))]

    def close(self) -> None:
        """End all workers; the next call starts them again."""
        for lane in self.lanes:
            lane.child.kill()


class GuardedSession:
    """A session in a worker, identified by its number and its calls so far."""

    def __init__(self, env: GuardedEnvironment, lane: Lane, task: Task) -> None:
        self.env, self.lane, self.task = env, lane, task
        self.number = next(lane.numbers)
        self.done: list[Call] = []
        self.start = 0  # number of the worker's start in which the session is open
        self.lost = ""

    def call(self, call: Call) -> Observation:
        (outcome,) = self.env.execute([Work(self, (call,))])
        if outcome.lost:
            return CallError(Refusal.PROCESS, outcome.lost).observation()
        return outcome.observations[0]

    def state(self) -> State:
        (text,) = self.lane.ask([_Item(self, 0, "state")])
        return State(decode(text) if isinstance(text, str) else None)

    def matches(self, state: State) -> bool:
        return bool(self.env.execute([Work(self, (), state)])[0].matches)

    def outside(self) -> list[str]:
        """What calls tried to do outside a probing worker since the last request."""
        (seen,) = self.lane.ask([_Item(self, 0, "outside")])
        return list(seen or ())

    def fork(self) -> GuardedSession:
        other = GuardedSession(self.env, self.lane, self.task)
        other.done, other.lost = list(self.done), self.lost
        return other

    def close(self) -> None:
        self.lane.forget(self)


class _Item(NamedTuple):
    """One operation, and the index of its step."""

    session: GuardedSession
    step: int
    name: str
    content: Any = None

    def operation(self) -> tuple[Any, ...]:
        if self.name == "call":
            return ("call", self.session.number, self.content.name, self.content.arguments)
        rest = () if self.content is None else (self.content,)
        return (self.name, self.session.number, *rest)


class Lane:
    """One worker and the sessions in it."""

    def __init__(self, child: Child, limits: CallLimits) -> None:
        self.child, self.limits = child, limits
        self._lock = RLock()  # threads may share a worker
        self.numbers = count()
        self._known: set[str] = set()
        self._closed: list[tuple[str, int]] = []
        self._repeated: _Item | None = None  # the operation during which a worker was last killed

    def run(self, steps: Sequence[Work]) -> list[Outcome]:
        """Outcomes of steps whose sessions are all in this worker."""
        items, sessions = [], []
        for index, (session, calls, expected, snapshot) in enumerate(steps):
            assert isinstance(session, GuardedSession)
            items += [_Item(session, index, "call", call) for call in calls]
            if expected is not None:
                items.append(_Item(session, index, "match", expected.digest))
            if snapshot:
                items.append(_Item(session, index, "digest"))
            sessions.append(session)
        seen: list[list[Observation]] = [[] for _ in steps]
        matches: list[bool | None] = [None] * len(steps)
        states: list[State | None] = [None] * len(steps)
        for item, answer in zip(items, self.ask(items), strict=True):
            if isinstance(answer, Observation):
                seen[item.step].append(answer)
            elif item.name == "match":
                matches[item.step] = answer is True
            elif item.name == "digest" and isinstance(answer, str):
                states[item.step] = State(None, answer)
        return [
            Outcome(tuple(seen[i]), matches[i], states[i], session.lost)
            for i, session in enumerate(sessions)
        ]

    def ask(self, items: Sequence[_Item]) -> list[Any]:
        """Answers to all items; None for those of a lost session."""
        answers: list[Any] = [None] * len(items)
        todo = list(range(len(items)))
        with self._lock:
            while todo := [i for i in todo if not items[i].session.lost]:
                todo = todo[self._batch(items, todo, answers) :]
        return answers

    def forget(self, session: GuardedSession) -> None:
        """Close a session with the next batch."""
        with self._lock:
            if self.child.alive and session.start == self.child.starts:
                self._closed.append(("close", session.number))
            session.lost = session.lost or "closed"

    def _batch(self, items: Sequence[_Item], todo: Sequence[int], answers: list[Any]) -> int:
        """Send the items in `todo`; returns how many were done, all unless the worker ended."""
        if not self.child.alive or len(self._known) > TASKS:
            self.child.start()
            self._known, self._closed = set(), []
        work = [(item, i) for i in todo for item in [*self._restore(items[i].session), items[i]]]
        tasks = {item.session.task.id: item.session.task for item, _ in work if item.name == "open"}
        tasks = {name: task for name, task in tasks.items() if name not in self._known}
        self._known.update(tasks)
        operations = [*self._closed, *(item.operation() for item, _ in work)]
        self._closed = []
        given, ended = self.child.exchange((tasks, operations), len(work))
        done = 0
        for (item, position), answer in zip(work, given, strict=False):
            if item is items[position]:
                done += 1
                if item.name == "call" and isinstance(answer, str | list):
                    item.session.done.append(item.content)
                    answer = Observation(*([answer, True] if isinstance(answer, str) else answer))
                answers[position] = answer
            elif item.name == "open" and answer is not True:
                item.session.lost = str(answer["error"])
        if ended is None:
            return done
        item, position = work[len(given)]  # the operation that ended the worker
        if self.child.killed and item != self._repeated:
            self._repeated = item
            return done
        restores = item is not items[position]
        if restores or item.name != "call":
            item.session.lost = f"{item.name}: {ended.value}"
        else:
            answers[position] = self._ended(ended)
        return done + (not restores)

    def _restore(self, session: GuardedSession) -> list[_Item]:
        """The operations that make the session in this worker, if it is not there."""
        if session.start == self.child.starts:
            return []
        session.start = self.child.starts
        opened = _Item(session, 0, "open", session.task.id)
        return [opened, *(_Item(session, 0, "call", call) for call in session.done)]

    def _ended(self, refusal: Refusal) -> Observation:
        limits = {
            Refusal.TIME: f"the call took more than {self.limits.seconds:g} s",
            Refusal.MEMORY: f"the call took more than {self.limits.megabytes} MB",
        }
        message = limits.get(refusal, "the call ended its process")
        return CallError(refusal, f"{message} and was undone").observation()


def _kill(children: Sequence[Child]) -> None:
    for child in children:
        child.kill()
