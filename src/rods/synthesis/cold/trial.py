"""The trial of all tools: calls on forks of a session, whose outcomes make the survey."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from rods.envs.base import Environment, Observation, Session
from rods.envs.calls import STOPPED, retried
from rods.errors import UserError
from rods.synthesis.cold import inventions
from rods.synthesis.cold.arguments import Proposer
from rods.synthesis.cold.known import as_type, closed, held_pool, inner, is_id, suiting
from rods.synthesis.cold.known import shown as shown_values
from rods.synthesis.cold.memory import Memory
from rods.synthesis.cold.survey import Done, Found, Survey
from rods.synthesis.meaning.ranges import Ranges
from rods.task import Call, Task, ToolSpec

TRIES = 12  # argument sets of a tool in one state
ROUNDS = 4  # walks after which tools that failed are tried again
STEPS = 4  # calls of such a walk
IDS, EACH, ENOUGH = 30, 2, 8  # of a parameter: values, calls of each, and values that are taken
OPTIONAL = (0.2, 0.8)  # share of optional parameters, alternately


def survey(
    env: Environment,
    tools: Mapping[str, ToolSpec],
    starts: Sequence[Task],
    ranges: Ranges,
) -> Survey:
    """Call every tool.

    Args:
        starts: a task for each start state.

    Raises:
        UserError: a start state does not load, or no call of any tool succeeds.
    """
    made = Survey(tools, {name: Found() for name in tools})
    trial = Trial(made, Proposer(ranges, suited=made.suited), random.Random("cold survey"))
    for start in starts:
        session = opened(start, env)
        with closing(session):
            for name in tools:
                if not made.found[name].shows:
                    trial.tool(name, session, ())
                trial.each_id(name, session)
            for _ in range(ROUNDS if made.failures() else 0):
                trial.wander(session)
    if not made.usable:
        causes = "; ".join(f"{name}: {why}" for name, why in list(made.failures().items())[:3])
        raise UserError(f"environment {env.name}: no call of any tool succeeds: {causes}")
    return made


def opened(start: Task, env: Environment) -> Session:
    """A session in a start state.

    Raises:
        UserError: it does not load, or its state cannot be read.
    """
    session = env.open(start)
    state = session.state()
    if lost := getattr(session, "lost", ""):  # with a guard, an error appears only here
        raise UserError(str(lost))
    if state.data is None:
        message = "its state cannot be serialised; rods envs check shows more"
        raise UserError(f"{start.label}: {message}")
    return session


def called(session: Session, call: Call) -> Observation:
    """A call, made again if a limit stopped it: the machine may have been slow."""
    return retried(lambda: session.call(call), lambda seen: seen.refused in STOPPED)


@dataclass
class Trial:
    made: Survey
    proposer: Proposer
    rng: random.Random

    def tool(self, name: str, session: Session, done: Sequence[Done]) -> Done | None:
        """Call a tool on forks until it succeeds; what it shows is added to the survey."""
        memory = Memory(session.state(), done)
        for number in range(TRIES):
            made = self._called(name, session, memory, {}, OPTIONAL[number % 2])
            if made and self.made.found[name].shows:
                return made
        return None

    def each_id(self, name: str, session: Session) -> None:
        """Find the ids that a tool takes, if it has refused a call."""
        memory = Memory(session.state())
        spec, suited = self.made.tools[name], self.made.suited
        if not suited.refused(memory.start, name):
            return
        for parameter in filter(is_id, spec.required):
            schema = inner(spec.parameters[parameter])
            values = suiting(name, parameter, schema, held_pool(memory.start))[:IDS]
            for known in self.rng.sample(values, len(values)):
                for number in range(EACH):
                    if suited.taken(memory.start, name, parameter) >= ENOUGH:
                        break
                    linked = {parameter: as_type(known.value, schema)}
                    if self._called(name, session, memory, linked, OPTIONAL[number % 2]):
                        break

    def _called(
        self,
        name: str,
        session: Session,
        memory: Memory,
        linked: Mapping[str, Any],
        optional: float,
    ) -> Done | None:
        """Call a tool on a fork; None if the call does not succeed."""
        spec, found = self.made.tools[name], self.made.found[name]
        if found.stopped:
            return None
        arguments = self.proposer.arguments(spec, memory, self.rng, linked, optional)
        if arguments is None:
            found.failure = found.failure or "no value for a required parameter"
            return None
        call = Call.model_construct(name=name, arguments=arguments)
        fork = session.fork()
        with closing(fork):
            seen = called(fork, call)
            taken = seen.ok and not seen.raised
            found.calls, found.taken = found.calls + 1, found.taken + taken
            self.made.suited.note(memory.start, call, taken=taken)
            if not taken:
                found.stopped, found.failure = seen.refused in STOPPED, seen.text
                found.works = found.works and not found.stopped
                return None
            found.writes = found.writes or fork.state() != memory.start
        if not found.works:
            self._try_any(spec, call, session)
        found.works = True
        found.shows = found.shows or shown_values(name, seen.text, 0)
        return call, seen.text

    def _try_any(self, spec: ToolSpec, call: Call, session: Session) -> None:
        """Find the parameters of a call that take any text."""
        for name, value in call.arguments.items():
            if not isinstance(value, str) or closed(spec.parameters[name]) or is_id(name):
                continue
            if inner(spec.parameters[name]).get("type") != "string":
                continue
            changed = {**call.arguments, name: inventions.ODD}
            fork = session.fork()
            with closing(fork):
                seen = called(fork, Call.model_construct(name=call.name, arguments=changed))
                if seen.refused in STOPPED:
                    continue
                if seen.ok and not seen.raised and fork.state() != session.state():
                    self.made.opened |= {(call.name, name)}
                    self.made.found[call.name].writes = True
        self.proposer.opened = self.made.opened

    def wander(self, session: Session) -> None:
        """Make some calls that succeed, and try the others after each."""
        fork, done = session.fork(), list[Done]()
        with closing(fork):
            for _ in range(STEPS):
                usable = self.made.usable
                made = self.tool(self.rng.choice(usable), fork, done) if usable else None
                if made is None:
                    return
                seen = called(fork, made[0])
                done.append((made[0], seen.text))
                for name in self.made.failures():
                    self.tool(name, fork, done)
