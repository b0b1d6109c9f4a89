"""Checks an environment of the user's own classes (`rods envs check`): a result for each method.

Methods are called with arguments from their schema, the start state and the tasks' ground truths,
in two worker processes that differ in hash seed and time zone. A method may hang or end its process
without harm, and one that depends on either is found. What is slow is blamed by name: a call, or
the state around it. The check finds mistakes; it proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from rods.envs.base import Observation, Work
from rods.envs.calls import STOPPED, CallLimits
from rods.envs.checked import Checked
from rods.envs.choice import OWN
from rods.envs.guard import GuardedEnvironment
from rods.envs.lane import SLOW_STATE, TOO_SLOW, timed_state
from rods.envs.python import PythonEnvironment
from rods.envs.samples import sample
from rods.envs.strings import strings_of
from rods.errors import UserError, shown
from rods.task import BASE, Call, Task, ToolSpec, Turn

READS = re.compile(r"(get|list|find|show|search|count|view|check|read|is|has|lookup)(_|$)")
PROCESSES = (
    {"PYTHONHASHSEED": "1", "TZ": "Etc/GMT+12"},
    {"PYTHONHASHSEED": "2", "TZ": "Etc/GMT-14"},  # 26 hours apart: the dates always differ
)
CALLS = 4  # calls of each method in each task
MORE = 12  # calls until one succeeds
WORLDS = 3  # tasks whose start states are used
READ = "to read; each verdict reads it"
MOST_SHOWN = 200  # characters of a call or an error in a message


def steps(env: PythonEnvironment, tasks: Sequence[Task]) -> int:
    """How often `check` calls its `tick`."""
    return len(env.methods) * max(1, len(tasks[:WORLDS])) + len(tasks)


def check(
    env: PythonEnvironment,
    tasks: Sequence[Task] = (),
    limits: CallLimits | None = None,
    tick: Callable[[], object] = lambda: None,
) -> Checked:
    """Check all tools of an environment.

    Args:
        limits: of the calls and of reading the state.
        tick: called after each part of the work, see `steps`.

    Raises:
        UserError: the environment cannot be opened.
    """
    made = Checked({name: [] for name in env.methods})
    for why in dict.fromkeys(env.left_out.values()):
        names = ", ".join(name for name, reason in env.left_out.items() if reason == why)
        made.notes.append(f"left out: {names}: {why}")
    for name, method in env.methods.items():
        made.problems[name] += _undescribed(method.spec, env)
    for owner, kind in env.classes.items():
        for attribute, value in vars(kind).items():
            if attribute[0] == "_" or attribute == OWN or not isinstance(value, list | dict | set):
                continue
            message = f"{attribute} is a mutable attribute of the class: all sessions share it"
            made.add(owner, message)
    worlds = list(tasks[:WORLDS]) or [_blank(env)]
    with _workers(env, limits or CallLimits()) as (one, two):
        texts = [_read(one, env, world, made) for world in worlds]
        if any(found is None for found in texts):  # no call can be judged
            made.untried |= dict.fromkeys(env.methods, "the state cannot be read in time")
            return made
        made.untried |= dict.fromkeys(env.methods, "no task uses its class")
        trial = _Trial(one, two, made)
        for world, found in zip(worlds, texts, strict=True):
            for name, method in env.methods.items():
                if method.spec.owner in world.classes:
                    gold = [c for t in tasks for c in t.calls if c.name == name][:CALLS]
                    trial.method(world, method.spec, gold, found or [])
                tick()
        for task in tasks:
            trial.ground_truth(task)
            tick()
    return made


def _read(
    env: GuardedEnvironment, inner: PythonEnvironment, world: Task, made: Checked
) -> list[str] | None:
    """Short strings of a start state; None if it cannot be read in time."""
    with closing(env.open(world)) as session:
        state, seconds = timed_state(session)
        if session.lost:
            if TOO_SLOW not in session.lost:
                raise UserError(f"environment {inner.name}: {session.lost}")
            for owner in world.classes:
                made.add(owner, f"{session.lost}: keep less in it, or raise --limits state_seconds")
            return None
    if state.data is None:
        for owner in inner.classes:
            made.add(owner, "the state cannot be serialised: keep plain data, or offer get_state")
    if seconds > SLOW_STATE and not any(READ in known for known in made.notes):
        made.notes.append(f"the state takes {seconds:.1f} s {READ}")
    return strings_of(state.data)


class _Trial:
    """Calls tools in two processes and notes what is wrong with them."""

    def __init__(self, one: GuardedEnvironment, two: GuardedEnvironment, made: Checked) -> None:
        self._one, self._two, self._made = one, two, made

    def method(
        self, world: Task, spec: ToolSpec, gold: Sequence[Call], texts: Sequence[str]
    ) -> None:
        """Call a tool in the start state of a task, until one call succeeded."""
        if any(fault.startswith(tuple(STOPPED)) for fault in self._made.problems[spec.name]):
            return
        for number, call in enumerate([*gold, *_probes(spec, texts)]):
            succeeded = spec.name not in self._made.untried
            if number >= len(gold) + CALLS and succeeded:
                return
            seen = self._call(world, call, spec.owner)
            if seen is not None and seen.refused in STOPPED:
                return
            if seen is not None and seen.ok:
                self._made.untried.pop(spec.name, None)
            elif seen is not None and not succeeded:
                self._made.untried[spec.name] = f"no call succeeded: {shown(seen.text, MOST_SHOWN)}"

    def _call(self, world: Task, call: Call, owner: str) -> Observation | None:
        """Call a tool in new sessions; None if no call was made."""
        name, made = call.name, self._made
        for _ in range(2):  # a call is too slow if it is so twice: the machine may have stalled
            session = self._one.open(world)
            (before,) = self._one.execute([Work(session, (), None, True)])
            (outcome,) = self._one.execute([Work(session, (call,))])
            (after,) = self._one.execute([Work(session, (), None, True)])
            seen = outcome.observations[0] if outcome.observations else None
            lost = seen is None or after.state is None or before.state is None
            if not lost and seen is not None and seen.refused not in STOPPED:
                break
        if seen is None or after.state is None or before.state is None:
            made.add(owner, f"{session.lost} (around {call})"[:MOST_SHOWN])
            return seen
        if seen.refused in STOPPED:
            made.add(name, f"{seen.refused}: {call}"[:MOST_SHOWN])
            made.untried.pop(name, None)
            return seen
        causes = session.outside()
        made.add_all(name, causes)
        if READS.match(name) and before.state != after.state:
            made.add(name, "is named like a read and changes the state")
        if before.state.digest and not after.state.digest:
            made.add(name, "leaves a state that cannot be serialised")
        known = any(cause.startswith(("reads the clock", "draws a random")) for cause in causes)
        for env, where in (
            (self._one, "a second session: something is shared, or random"),
            (self._two, "another process: clock, hash order, time zone or randomness"),
        ):
            other = env.open(world)
            (found,) = env.execute([Work(other, (call,), None, True)])
            other.close()
            same = found.observations == outcome.observations and found.state == after.state
            stopped = any(each.refused in STOPPED for each in found.observations)
            if not (same or known or stopped or found.lost):
                made.add(name, f"gives another result in {where}")
        session.close()
        return seen

    def ground_truth(self, task: Task) -> None:
        """Play a ground truth in both processes: it ends alike, and its tools were tried."""
        session = self._one.open(task)
        answers = []
        for call in task.calls:
            answers.append(session.call(call))
            if not session.lost:
                self._made.add_all(call.name, session.outside())
            if answers[-1].ok:
                self._made.untried.pop(call.name, None)
        (end,) = self._one.execute([Work(session, (), None, True)])
        session.close()
        other = self._two.open(task)
        (found,) = self._two.execute([Work(other, task.calls, None, True)])
        other.close()
        if (tuple(answers), end.state) != (found.observations, found.state):
            what = "its ground truth ends differently in another process"
            self._made.add("tasks", f"task {task.label}: {what}")


def _undescribed(spec: ToolSpec, env: PythonEnvironment) -> Iterator[str]:
    if not spec.description:
        yield "has no docstring"
    for name, schema in spec.parameters.items():
        if not schema.get("description"):
            yield f"parameter {name!r} is not described"
    if "return" not in getattr(getattr(env.classes[spec.owner], spec.name), "__annotations__", {}):
        yield "has no return type"


def _probes(spec: ToolSpec, texts: Sequence[str]) -> list[Call]:
    """Calls by schema: in turn with the required and with all arguments, with varying values."""
    made: list[Call] = []
    for turn in range(CALLS + MORE):
        names = spec.required if turn % 2 == 0 else tuple(spec.parameters)
        values: dict[str, Any] = {
            n: sample(spec.parameters[n], texts, turn + i) for i, n in enumerate(names)
        }
        call = Call.model_construct(name=spec.name, arguments=values)
        if call not in made:
            made.append(call)
    return made


def _blank(env: PythonEnvironment) -> Task:
    turns = (Turn(user="-"),)
    return Task(category=BASE, classes=tuple(env.classes), start={}, turns=turns)


@contextmanager
def _workers(
    env: PythonEnvironment, limits: CallLimits
) -> Iterator[tuple[GuardedEnvironment, GuardedEnvironment]]:
    made = [GuardedEnvironment(env, limits, probe=True, variables=v) for v in PROCESSES]
    try:
        yield made[0], made[1]
    finally:
        for guarded in made:
            guarded.close()
