"""Stage II, execute: a plan becomes calls, by proposing arguments and executing them.

Execution precedes language: the calls that succeeded, in their order, are the ground truth, and the
tool accepted every value of them in that state.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rods.envs.base import Environment, Session
from rods.envs.calls import STOPPED
from rods.envs.state import State, shared
from rods.errors import UserError
from rods.flows import values_at
from rods.synthesis.failures import History, Kind, SynthesisError
from rods.synthesis.meaning.learned import Learned
from rods.synthesis.meaning.purpose import NAME
from rods.synthesis.one_record import OneRecord
from rods.synthesis.stages import Executed, Plan, PlannedCall
from rods.synthesis.start import StartStates
from rods.synthesis.state_values import StateValues
from rods.synthesis.toolgraph import ToolGraph
from rods.synthesis.values import ValueBank, ValueSource
from rods.task import Call, Task, Turn

PROPOSALS = 6
NEAR = 2  # the last ones of these; their arguments are those of a seed task in this start state
STOPS = 2  # stopped calls of a tool after which it is blocked for a parent
LINKED = 0.7  # share of the flows in the seed tasks that a plan without links uses
Done = tuple[Call, str]  # a call and its response
Doer = Callable[[PlannedCall, Session, Sequence[Done]], Done]


@dataclass
class ProgramExecutor:
    """Start states and calls by program."""

    env: Environment
    graph: ToolGraph
    bank: ValueBank
    starts: StartStates
    learned: Learned

    def execute(self, plan: Plan, history: History, rng: random.Random) -> Executed:
        """See `stages.Executor`."""
        start, source = self.draw(plan, rng)
        return self._carry_out(plan, start, source, history.stopped)

    def execute_from(self, plan: Plan, start: dict[str, Any], rng: random.Random) -> Executed:
        """The plan, executed in a given start state.

        Raises:
            SynthesisError: for some step no tool and arguments execute.
        """
        return self._carry_out(plan, start, self._source(rng), Counter())

    def draw(self, plan: Plan, rng: random.Random) -> tuple[dict[str, Any], ValueSource]:
        """A start state for a plan, and a source of values that suit it."""
        source = self._source(rng)
        tools = {name for turn in plan.tools for name in turn}
        start, source.near = self.starts.draw(plan.classes, tools, source)
        return start, source

    def _source(self, rng: random.Random) -> ValueSource:
        return ValueSource(self.bank, self.graph.phrases, self.learned.ranges, rng)

    def _carry_out(
        self, plan: Plan, start: dict[str, Any], source: ValueSource, stopped: Counter[str]
    ) -> Executed:
        loaded: State | None = None

        def do(step: PlannedCall, session: Session, done: Sequence[Done]) -> Done:
            nonlocal loaded
            state = StateValues(session)
            loaded = loaded or state.snapshot
            record = OneRecord(self.learned.records, loaded, done)
            return _step(step, session, self.graph, source, state, record, stopped)

        return carry_out(plan, start, self.env, do)


def carry_out(plan: Plan, start: dict[str, Any], env: Environment, do: Doer) -> Executed:
    """Execute a plan, step by step.

    Args:
        do: makes a call for a step, given the session and all calls before it.

    Raises:
        SynthesisError: from `do`, or the start state does not load.
    """
    session = opened(plan, start, env)
    try:
        states = [session.state()]
        done: list[Done] = []
        calls, responses = [], []
        for steps in plan.turns:
            first = len(done)
            for step in steps:
                done.append(do(step, session, done))
            calls.append(tuple(c for c, _ in done[first:]))
            responses.append(tuple(r for _, r in done[first:]))
            states.append(session.state())
    finally:
        session.close()
    digests = tuple(state.digest for state in shared(states))
    return Executed(plan, start, tuple(calls), tuple(responses), digests)


def opened(plan: Plan, start: dict[str, Any], env: Environment) -> Session:
    """A session in a start state.

    Raises:
        SynthesisError: it does not load.
    """
    words = (Turn(user="-"),)
    task = Task(
        category=plan.category, classes=plan.classes, start=start, turns=words, environment=env.name
    )
    try:
        session = env.open(task)
        loads = session.state().data is not None  # with a guard, an error appears only here
    except UserError as error:
        raise SynthesisError(Kind.EXECUTION, f"the start state does not load: {error}") from None
    if not loads:
        session.close()
        raise SynthesisError(Kind.EXECUTION, "the start state does not load")
    return session


def _step(
    step: PlannedCall,
    session: Session,
    graph: ToolGraph,
    source: ValueSource,
    state: StateValues,
    record: OneRecord,
    stopped: Counter[str],
) -> Done:
    """A call that executes, with its response.

    Args:
        stopped: calls of each tool that a limit stopped; after one the tool gets only arguments
            that are known to work, after `STOPS` it is blocked.
    """
    done, call = record.done, None
    for name in step.tools:
        if len(step.tools) > 1 and any(other.name == name for other, _ in done[-1:]):
            continue  # the same tool twice in a row reads as one request
        for proposal in range(PROPOSALS):
            if stopped[name] >= STOPS:
                raise SynthesisError(
                    Kind.EXECUTION,
                    f"{name}: blocked, {STOPS} calls were stopped",
                    call,
                    why=f"{name}: calls stopped",
                )
            near = proposal >= PROPOSALS - NEAR or bool(stopped[name])
            fixed = _linked(step, name, graph, source, record)
            if fixed is None:
                break
            arguments = source.arguments(graph.tools[name], state, fixed, record, near=near)
            call = Call.model_construct(name=name, arguments=arguments)
            if any(call == other for other, _ in done) or not record.keeps(call):
                continue
            seen = session.call(call)
            if seen.ok and not seen.raised:
                return call, seen.text
            stopped[name] += seen.refused in STOPPED
    raise SynthesisError(Kind.PARAMETERS, f"{'/'.join(step.tools)}: no arguments execute", call)


def _linked(
    step: PlannedCall,
    name: str,
    graph: ToolGraph,
    source: ValueSource,
    record: OneRecord,
) -> dict[str, list[Any]] | None:
    """Values from earlier responses by their place; None if a planned one is missing."""
    fixed: dict[str, list[Any]] = {}

    def values(place: str, response: str, key: str) -> list[Any]:
        own = {NAME.split(other)[0]: chosen for other, chosen in fixed.items()}
        return record.agreeing(name, NAME.split(place)[0], values_at(response, key), own)

    for place, origins in step.sources.items():
        found = [values(place, record.done[position][1], key) for position, key in origins]
        if not all(found):
            return None
        alone = len(found) == 1
        fixed[place] = [v for values in found for v in _some(values, place, source.rng, alone)]
    if not step.sources:  # a fresh plan has links where the seed tasks have them
        flows = [flow for flow in graph.flows if flow[2] == name]
        for call, response in reversed(record.done):
            for producer, key, _, parameter in flows:
                if producer == call.name and parameter not in fixed:
                    found = values(parameter, response, key)
                    if found and source.rng.random() < LINKED:
                        fixed[parameter] = _some(found, parameter, source.rng)
    return fixed


def _some(values: Sequence[Any], place: str, rng: random.Random, alone: bool = True) -> list[Any]:
    """One of the values; one or two for a place in a list that has no other origin."""
    count = rng.randint(1, 2) if alone and "[]" in place and len(values) > 1 else 1
    chosen = sorted(rng.sample(range(len(values)), count)) if len(values) > 1 else [0]
    return [values[i] for i in chosen]
