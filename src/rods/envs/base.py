"""What an environment offers: fresh, isolated sessions with a task's tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from rods.envs.state import State
from rods.task import Call, Task, ToolSpec


class Observation(NamedTuple):
    """The result of a call.

    Attributes:
        text: the response, exactly as the verdict compares it.
        ok: False if the tool reported an error.
        raised: True if the call could not be executed at all (error code -2 of the paper).
        refused: name of the bound or limit that stopped it, see `calls.Refusal`; empty if none did.
    """

    text: str
    ok: bool
    raised: bool = False
    refused: str = ""


class Session(Protocol):
    """One running copy of a task's tools and state; sessions share nothing."""

    def call(self, call: Call) -> Observation:
        """Execute one call. Never raises: every error becomes an observation."""

    def state(self) -> State:
        """A snapshot that later calls do not change."""

    def matches(self, state: State) -> bool:
        """`self.state() == state`, without a copy of the state."""

    def fork(self) -> Session:
        """An independent copy in the same state."""

    def close(self) -> None:
        """Release what the session holds."""


class Work(NamedTuple):
    """A step of one session: calls in order, then a comparison or a snapshot of the state."""

    session: Session
    calls: Sequence[Call] = ()
    expected: State | None = None
    snapshot: bool = False


class Outcome(NamedTuple):
    """The result of a step.

    Attributes:
        observations: one for each call.
        matches: whether the state equals the expected one; None if no state was expected.
        state: the snapshot, if requested; from another process only its digest.
        lost: why the session is lost, or empty.
    """

    observations: tuple[Observation, ...]
    matches: bool | None = None
    state: State | None = None
    lost: str = ""


class Environment(Protocol):
    """Opens sessions for tasks."""

    name: str
    version: str

    @property
    def classes(self) -> Collection[str]:
        """The names of its classes, which a task can use."""

    @property
    def specs(self) -> Mapping[str, ToolSpec]:
        """The tools of all classes, by name."""

    def tools(self, task: Task) -> dict[str, ToolSpec]:
        """All tools of the task's classes by name, withheld ones included."""

    def open(self, task: Task) -> Session:
        """A fresh session in the task's start state.

        Raises:
            UserError: the task names a class that this environment does not have, or its start
                state cannot be loaded.
        """

    def execute(self, steps: Sequence[Work]) -> list[Outcome]:
        """Execute the steps in order; an error in one session does not affect the others."""


@runtime_checkable
class InterruptibleEnvironment(Environment, Protocol):
    """An environment whose calls can be ended from another thread."""

    def interrupt(self) -> None:
        """End all calls in progress: `execute` raises InterruptedError in their threads."""


@runtime_checkable
class ApartEnvironment(InterruptibleEnvironment, Protocol):
    """An environment that can run its calls in processes that may be killed.

    Attributes:
        apart: whether it does.
    """

    apart: bool

    def stopped(self) -> Counter[str]:
        """Counts of calls that a limit stopped so far, by tool and limit."""

    def close(self) -> None:
        """End all its processes; the next call starts them again."""


def execute_here(steps: Sequence[Work]) -> list[Outcome]:
    """`Environment.execute` in this process."""
    return [_execute(step) for step in steps]


def _execute(step: Work) -> Outcome:
    session, calls, expected, snapshot = step
    try:
        seen = tuple([session.call(call) for call in calls])
        matches = None if expected is None else session.matches(expected)
        return Outcome(seen, matches, session.state() if snapshot else None)
    except Exception as error:  # an error in a session ends only its own episode
        return Outcome((), lost=f"{type(error).__name__}: {error}")
