"""One worker process of the guard, and the sessions in it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from itertools import count
from threading import RLock
from typing import Any, NamedTuple

from rods.envs.base import Observation, Outcome, Session, Work
from rods.envs.calls import CallError, CallLimits, Refusal
from rods.envs.child import Child
from rods.envs.state import State, decode
from rods.task import Call, Task

TOO_SLOW = "took more than"  # within the reason of a lost session
SLOW_STATE = 0.2  # seconds of reading a state that are worth a note
TASKS = 4_096  # tasks that a worker holds before it is restarted


class GuardedSession:
    """A session in a worker, identified by its number and its calls so far."""

    def __init__(self, lane: Lane, task: Task) -> None:
        self.lane, self.task = lane, task
        self.number = next(lane.numbers)
        self.done: list[Call] = []
        self.start = 0  # number of the worker's start in which the session is open
        self.lost = ""

    def call(self, call: Call) -> Observation:
        (outcome,) = self.lane.run([Work(self, (call,))])
        if outcome.lost:
            return CallError(Refusal.PROCESS, outcome.lost).observation()
        return outcome.observations[0]

    def state(self) -> State:
        (text,) = self.lane.ask([_Item(self, 0, "state")])
        return State(decode(text) if isinstance(text, str) else None)

    def matches(self, state: State) -> bool:
        return bool(self.lane.run([Work(self, (), state)])[0].matches)

    def outside(self) -> list[str]:
        """What calls tried to do outside a probing worker since the last request."""
        (seen,) = self.lane.ask([_Item(self, 0, "outside")])
        return list(seen or ())

    def fork(self) -> GuardedSession:
        other = GuardedSession(self.lane, self.task)
        other.done, other.lost = list(self.done), self.lost
        return other

    def close(self) -> None:
        self.lane.forget(self)


def timed_state(session: Session) -> tuple[State, float]:
    """The state of a session, and the seconds that reading it takes; it is read twice."""
    session.state()  # makes the session, and starts its worker
    began = time.monotonic()
    state = session.state()
    return state, time.monotonic() - began


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
    """One worker and the sessions in it.

    Attributes:
        stopped: counts of calls that a limit stopped, by tool and limit.
    """

    def __init__(self, child: Child, limits: CallLimits) -> None:
        self.child, self.limits = child, limits
        self._lock = RLock()  # threads may share a worker
        self._going = False  # set back by `interrupt`
        self.numbers = count()
        self._known: set[str] = set()
        self._closed: list[tuple[str, int]] = []
        self._repeated: _Item | None = None  # the operation during which a worker was last killed
        self.stopped = Counter[str]()

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
        """Answers to all items; None for those of a lost session.

        Raises:
            InterruptedError: `interrupt` was called before the last answer.
        """
        answers: list[Any] = [None] * len(items)
        todo = list(range(len(items)))
        with self._lock:
            self._going = True
            while todo := [i for i in todo if not items[i].session.lost]:
                if not self._going:
                    raise InterruptedError("the calls were interrupted")
                todo = todo[self._batch(items, todo, answers) :]
            self._going = False
        return answers

    def interrupt(self) -> None:
        """End what `ask` does in another thread."""
        if self._going:
            self._going = False
            self.child.interrupt()

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
            if not self._going:
                return 0
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
            item.session.lost = self._lost(item, ended)
        else:
            self.stopped[f"{item.content.name}: {ended.value}"] += 1
            answers[position] = self._ended(ended)
        return done + (not restores)

    def _restore(self, session: GuardedSession) -> list[_Item]:
        """The operations that make the session in this worker, if it is not there."""
        if session.start == self.child.starts:
            return []
        session.start = self.child.starts
        opened = _Item(session, 0, "open", session.task.id)
        return [opened, *(_Item(session, 0, "call", call) for call in session.done)]

    def _lost(self, item: _Item, refusal: Refusal) -> str:
        """Why a session is lost: no call of the agent was the cause."""
        doing = {"open": "making the session", "call": "repeating its calls"}
        what = doing.get(item.name, "reading the state")
        if refusal is not Refusal.TIME:
            return f"{what}: {refusal.value}"
        seconds = self.limits.seconds if item.name == "call" else self.limits.state_seconds
        return f"{what} {TOO_SLOW} {seconds:g} s"

    def _ended(self, refusal: Refusal) -> Observation:
        limits = {
            Refusal.TIME: f"the call took more than {self.limits.seconds:g} s",
            Refusal.MEMORY: f"the call took more than {self.limits.megabytes} MB",
        }
        message = limits.get(refusal, "the call ended its process")
        return CallError(refusal, f"{message} and was undone").observation()
