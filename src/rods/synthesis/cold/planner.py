"""Stages I and II without a parent task: a plan is a walk, and is executed as it was walked."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from rods.envs.base import Environment, Session
from rods.synthesis.cold.ladder import BY_NAME, Rung, Shape
from rods.synthesis.cold.survey import Done
from rods.synthesis.cold.trial import called
from rods.synthesis.cold.walk import Walker, sources_of
from rods.synthesis.execute import carry_out
from rods.synthesis.failures import History, Kind, SynthesisError
from rods.synthesis.meaning.trace import CallTrace
from rods.synthesis.stages import Executed, Plan, PlannedCall
from rods.task import Call, Task, Turn

REFERS = 0.5  # share of later turns that refer back to what was said


@dataclass
class ColdPlanner:
    """Plans of a rung; see `stages.Planner`."""

    walker: Walker

    def plan(self, parent: Task, history: History, rng: random.Random, *, keep: bool) -> Plan:
        """A plan for a start state.

        Args:
            parent: a task with a start state and no turns; its note is the name of the rung.
            keep: not used.

        Raises:
            SynthesisError: the walk came to an end, or its structure is not that of the rung.
        """
        rung = BY_NAME[parent.note]
        shape = rng.choice(rung.shapes)
        done = self.walker.walk(parent, shape, rng)
        task = walked(parent, shape, done)
        if CallTrace(task, self.walker.env).profile.depth != rung.depth:
            raise SynthesisError(Kind.NO_PATTERN, f"no chain of {rung.depth} calls")
        steps = iter(
            PlannedCall((call.name,), dict(sources), call.arguments)
            for (call, _), sources in zip(done, sources_of(done), strict=True)
        )
        later = range(1, len(shape.sizes))
        return Plan(
            category=parent.category,
            classes=parent.classes,
            turns=tuple(tuple(islice(steps, size)) for size in shape.sizes),
            refers=frozenset(turn for turn in later if rng.random() < REFERS),
            start=dict(parent.start),
            note=rung.name,
        )


@dataclass(frozen=True)
class WalkedExecutor:
    """Executes a plan with the arguments of its walk; see `stages.Executor`."""

    env: Environment

    def execute(self, plan: Plan, history: History, rng: random.Random) -> Executed:
        """The plan, executed.

        Raises:
            SynthesisError: a call is answered in another way than in the walk.
        """

        def do(step: PlannedCall, session: Session, done: Sequence[Done]) -> Done:
            call = Call.model_construct(name=step.tools[0], arguments=dict(step.arguments or {}))
            seen = called(session, call)
            if not seen.ok or seen.raised:
                raise SynthesisError(Kind.EXECUTION, f"{call.name}: {seen.text}", call)
            return call, seen.text

        return carry_out(plan, plan.start or {}, self.env, do)


def walked(start: Task, shape: Shape, done: Sequence[Done]) -> Task:
    """A walk as a task without words."""
    calls = iter(call for call, _ in done)
    turns = tuple(Turn(user="-", ground_truth=tuple(islice(calls, size))) for size in shape.sizes)
    return start.model_copy(update={"turns": turns})


def walks(
    walker: Walker, starts: Sequence[Task], rungs: Sequence[Rung], count: int, rng: random.Random
) -> Iterator[Task]:
    """Tasks without words, as many walks as succeed out of `count` for each rung."""
    for rung in rungs:
        for _ in range(count):
            shape, start = rng.choice(rung.shapes), rng.choice(starts)
            try:
                done = walker.walk(start, shape, rng)
            except SynthesisError:
                continue
            yield walked(start, shape, done)
