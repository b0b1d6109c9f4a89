"""The result of a check of an environment (`rods envs check`), and what offers one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from rods.envs.base import Environment
from rods.envs.calls import CallLimits
from rods.task import Task


@dataclass
class Checked:
    """The result of a check of an environment.

    Attributes:
        problems: tool, or class or server -> its problems; an empty list for a valid one.
        untried: tools of which no call succeeded -> the last error.
        notes: what is no fault but good to know.
        facts: what else was seen, by the names of `problems`.
    """

    problems: dict[str, list[str]]
    untried: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, problem: str) -> None:
        """Add a problem once."""
        found = self.problems.setdefault(name, [])
        if problem not in found:
            found.append(problem)

    def add_all(self, name: str, problems: Iterable[str]) -> None:
        """Add several problems, each once."""
        for problem in problems:
            self.add(name, problem)


@runtime_checkable
class CheckableEnvironment(Environment, Protocol):
    """An environment of the user's own tools."""

    def check(
        self, tasks: Sequence[Task], limits: CallLimits | None, tick: Callable[[], object]
    ) -> Checked:
        """Try all tools, and play the ground truths of tasks in two processes.

        Args:
            limits: of the calls and of reading the state.
            tick: called after each part of the work.

        Raises:
            UserError: it cannot be opened.
        """

    def check_steps(self, tasks: Sequence[Task]) -> int:
        """How often `check` calls its `tick`."""
