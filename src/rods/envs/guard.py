"""Runs an environment's calls in worker processes that may be killed.

A call that hangs, uses too much memory, or ends its process becomes an error observation
of that episode and changes no state: the worker is replaced, and each session in it is made again
from its calls so far, which is exact because environments are deterministic. The steps of many
sessions are sent together, so an ordinary call costs a line in a file. If a worker is killed from
outside, no call is the cause: its operation is repeated once.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import TypeGuard

from rods.envs.base import ApartEnvironment, Environment, Outcome, Work
from rods.envs.calls import DEFAULT, Bounds, CallLimits
from rods.envs.child import Child
from rods.envs.lane import GuardedSession, Lane
from rods.errors import UserError
from rods.task import Task, ToolSpec


def guard(
    env: Environment, limits: CallLimits | None = None, bounds: Bounds = DEFAULT
) -> ApartEnvironment:
    """The environment with its calls in processes that can be killed; see `GuardedEnvironment`.

    One that runs them so by itself is not changed, and has limits of its own.

    Raises:
        UserError: limits are given for one that has its own.
    """
    if not is_apart(env):
        return GuardedEnvironment(env, limits, bounds)
    if limits is not None and limits != CallLimits():
        raise UserError(f"environment {env.name}: limits: its file has them, under rods.limits")
    return env


def is_apart(env: Environment) -> TypeGuard[ApartEnvironment]:
    """Whether an environment runs its calls in processes that can be killed."""
    return isinstance(env, ApartEnvironment) and env.apart


class GuardedEnvironment:
    """An environment whose sessions run in workers that can be killed.

    Args:
        inner: the same environment in this process, used only for its tools.
        limits: of each call.
        bounds: of each call's arguments.
        probe: whether the workers stop and record all that reaches outside them.
        variables: added to the workers' environment variables.
    """

    apart = True

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
        arguments = [inner.name, self.limits.model_dump_json(), bounds.model_dump_json()]
        arguments += ["probe"] if probe else []
        longest = max(self.limits.seconds, self.limits.state_seconds)
        children = [Child(arguments, longest, variables) for _ in range(self.limits.workers)]
        self.lanes = [Lane(child, self.limits) for child in children]
        self._next = cycle(self.lanes)
        self._finalize = weakref.finalize(self, _kill, children)

    @property
    def classes(self) -> Collection[str]:
        """The names of its classes."""
        return self.inner.classes

    @property
    def specs(self) -> Mapping[str, ToolSpec]:
        """The tools of all classes, by name."""
        return self.inner.specs

    @property
    def left_out(self) -> Mapping[str, str]:
        """Methods that are no tools, each with the reason."""
        found: Mapping[str, str] = getattr(self.inner, "left_out", {})
        return found

    def tools(self, task: Task) -> dict[str, ToolSpec]:
        return self.inner.tools(task)

    def open(self, task: Task) -> GuardedSession:
        """A session that opens with its first step; an error is in that step's outcome."""
        return GuardedSession(next(self._next), task)

    def execute(self, steps: Sequence[Work]) -> list[Outcome]:
        """Execute the steps, those of different workers at the same time.

        Raises:
            UserError: no worker can be started.
            InterruptedError: `interrupt` was called.
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

    def stopped(self) -> Counter[str]:
        """Counts of calls that a limit stopped so far, by tool and limit."""
        return sum((lane.stopped for lane in self.lanes), Counter[str]())

    def interrupt(self) -> None:
        """End all calls in progress, in all threads; their workers are killed."""
        for lane in self.lanes:
            lane.interrupt()

    def close(self) -> None:
        """End all workers; the next call starts them again."""
        for lane in self.lanes:
            lane.child.kill()


def _kill(children: Sequence[Child]) -> None:
    for child in children:
        child.kill()
