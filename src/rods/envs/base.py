"""What an environment offers: fresh, isolated sessions over a task's tools."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from rods.task import Call, Task, ToolSpec


class Observation(NamedTuple):
    """What a call returned.

    Attributes:
        text: the response exactly as the verdict compares it.
        ok: False where the tool reported an error.
        raised: True where the call could not be executed at all (error code -2 of the paper).
    """

    text: str
    ok: bool
    raised: bool = False


class Session(Protocol):
    """One running copy of a task's world; nothing is shared between sessions."""

    def call(self, call: Call) -> Observation:
        """Execute one call. Never raises: whatever goes wrong is an observation."""

    def state(self) -> Any:
        """A plain-data snapshot of all public attributes, comparable by `==`."""

    def fork(self) -> Session:
        """An independent copy in the same state."""

    def close(self) -> None:
        """Release what the session holds."""


class Environment(Protocol):
    """Opens tasks."""

    name: str
    version: str

    def tools(self, task: Task) -> dict[str, ToolSpec]:
        """All tools of the task's classes by name, withheld ones included."""

    def open(self, task: Task) -> Session:
        """A fresh session in the task's start state.

        Raises:
            UserError: the task names a class that this environment does not have, or its start
                state cannot be loaded.
        """
