"""The calls of one walk, each tried on a fork first."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from rods.envs.base import Session
from rods.envs.state import State
from rods.flows import parts, spots
from rods.synthesis.cold.arguments import Proposer
from rods.synthesis.cold.known import Known, as_type, fits, inner, is_id, scalar, score, takes
from rods.synthesis.cold.known import shown as shown_values
from rods.synthesis.cold.memory import Memory
from rods.synthesis.cold.survey import Done, Survey
from rods.synthesis.cold.trial import called
from rods.synthesis.failures import Kind, SynthesisError
from rods.synthesis.meaning.undoing import REMOVING, new_parts
from rods.task import Call

START_OF_CHAIN = -1
TOOLS = 6  # tried for one call
TRIES, CHOOSY = 6, 18  # argument sets of each, and of one that refuses most calls
READS = 2  # calls of a reading tool in one walk
# Weights of tools in a chain; others have 1.
WITHOUT_ID, READ_WITHIN, WRITE_LAST = 3, 2, 6
OPTIONAL, MORE = 0.25, 0.6  # share of optional parameters, at first and where calls fail
ALONE = 0.1  # share of calls outside the chain that need nothing of what is known


class Steps:
    """The calls of one walk.

    Args:
        reach: for each tool that may be called, the longest chain that it can begin.
        session: in the start state; it is closed, and others stand in its place.

    Attributes:
        session: in the state after them.
    """

    def __init__(
        self,
        survey: Survey,
        proposer: Proposer,
        reach: Mapping[str, int],
        session: Session,
        rng: random.Random,
    ) -> None:
        self._survey, self._proposer, self._reach = survey, proposer, reach
        self._rng, self.session = rng, session
        self.done: list[Done] = []
        self._states: list[State] = [session.state()]
        self._written: list[int] = []

    def chained(self, before: int, left: int) -> int:
        """Make the next call of the chain; returns its position.

        Args:
            before: position of the call whose response it must take a value of.
            left: calls of the chain, this one counted.
        """
        shows: Sequence[Known] = ()
        if before != START_OF_CHAIN:
            call, response = self.done[before]
            shows = self._new(shown_values(call.name, response, before))
        names = [n for n, reach in self._reach.items() if reach >= left and self._fresh(n)]
        if before != START_OF_CHAIN:
            names = [n for n in names if self._takes(n, shows)]
        for name in self._drawn({n: self._weight(n, before, left) for n in names}):
            if self._made(name, shows, link=before != START_OF_CHAIN, feeds=left > 1):
                return len(self.done) - 1
        raise SynthesisError(Kind.SAMPLING, f"nothing goes on after {len(self.done)} calls")

    def beside(self, turn: int) -> None:
        """Make a call outside the chain.

        Args:
            turn: position of the first call of its turn.
        """
        memory = Memory(self._states[0], self.done)
        names = [n for n in self._reach if self._fresh(n)]
        near = bool(self.done) and self._rng.random() >= ALONE
        if near:
            names = [n for n in names if self._takes(n, memory.values)]
        # The same read once more is of a thing that was shown, or has no end.
        shows = [v for v in memory.values if not v.used]
        here, before = ({call.name for call, _ in self.done[at:]} for at in (turn, 0))
        names = [n for n in names if n not in here]
        names = [n for n in names if n not in before or self._takes(n, shows)]
        for name in self._drawn(dict.fromkeys(names, 1)):
            if self._made(name, (), link=False, feeds=False, near=near):
                return
        raise SynthesisError(Kind.SAMPLING, f"no other call after {len(self.done)} calls")

    def _weight(self, name: str, before: int, left: int) -> float:
        """How much a tool is preferred in a chain.

        A chain begins with what a person knows, rather a name than an id, and ends with a write.
        """
        tool, writes = self._survey.tools[name], self._survey.found[name].writes
        if before == START_OF_CHAIN:
            return WITHOUT_ID if left > 1 and not any(map(is_id, tool.required)) else 1
        return (WRITE_LAST if writes else 1) if left == 1 else (1 if writes else READ_WITHIN)

    def _drawn(self, weights: Mapping[str, float]) -> list[str]:
        """Some tools in the order in which they are tried."""
        order = sorted(weights, key=lambda n: -(self._rng.random() ** (1 / weights[n])))
        return order[:TOOLS]

    def _takes(self, name: str, values: Sequence[Known]) -> list[str]:
        """The parameters of a tool that some values suit and that do not take any value."""
        return takes(self._survey.tools[name], values, self._survey.opened)

    def _fresh(self, name: str) -> bool:
        """Whether a tool may be called once more."""
        count = sum(call.name == name for call, _ in self.done)
        return count < (1 if self._survey.found[name].writes else READS)

    def _new(self, values: Sequence[Known]) -> list[Known]:
        """The values that no call has taken yet, and that are no coincidence."""
        used = {str(v) for call, _ in self.done for _, v in parts(call.arguments)}
        return [v for v in values if str(v.value) not in used]

    def _made(
        self, name: str, shows: Sequence[Known], *, link: bool, feeds: bool, near: bool = False
    ) -> bool:
        """Try to call a tool; whether it was called.

        Args:
            link: it must take one of the values in `shows`.
            feeds: its response must show something that no call has taken.
            near: it must take something that is known.
        """
        tool = self._survey.tools[name]
        memory = Memory(self._states[0], self.done)
        known = {str(v.value) for v in memory.values if not isinstance(v.value, bool)}
        tries = CHOOSY if self._survey.found[name].choosy else TRIES
        for number in range(tries):
            linked = self._linked(name, shows) if link else {}
            if linked is None:
                return False
            optional = OPTIONAL if number < tries // 2 else MORE
            arguments = self._proposer.arguments(tool, memory, self._rng, linked, optional)
            if arguments is None:
                continue
            call = Call.model_construct(name=name, arguments=arguments)
            if not _of_different_values(call) or any(call == other for other, _ in self.done):
                continue
            if near and not any(str(v) in known for _, v in parts(arguments)):
                continue
            if self._tried(call, feeds):
                return True
        return False

    def _linked(self, name: str, shows: Sequence[Known]) -> dict[str, Any] | None:
        """One value for one parameter out of what a response has shown."""
        tool = self._survey.tools[name]
        names = self._takes(name, shows)
        if not names:
            return None
        required = [n for n in names if n in tool.required]
        parameter = self._rng.choice(required or names)
        schema = scalar(tool.parameters[parameter])
        scored = [(score(name, parameter, v), v) for v in shows if fits(v.value, schema)]
        best = max(points for points, _ in scored)
        values: Sequence[Known] = [v for points, v in scored if points >= best - 0.5]
        place = self._states[0], name, parameter
        values = self._survey.suited.without_refused(*place, values, self._rng)
        value = as_type(self._rng.choice(values).value, schema)
        is_list = inner(tool.parameters[parameter]).get("type") == "array"
        return {parameter: [value] if is_list else value}

    def _tried(self, call: Call, feeds: bool) -> bool:
        """Call on a fork, which is kept if the call is one that a person would ask for."""
        fork = self.session.fork()
        seen = called(fork, call)
        after = fork.state() if seen.ok and not seen.raised else None
        if not (
            after is not None
            and after.data is not None
            and self._is_useful(call, seen.text, after)
            and (not feeds or self._new(shown_values(call.name, seen.text, len(self.done))))
        ):
            fork.close()
            return False
        self.session.close()
        self.session = fork
        if after != self._states[-1]:
            self._written.append(len(self.done))
        self.done.append((call, seen.text))
        self._states.append(after)
        return True

    def _is_useful(self, call: Call, response: str, after: State) -> bool:
        """Whether a call shows or changes something, and takes back nothing that was done."""
        before = self._states[-1]
        if after == before:
            known = {str(v.value) for v in Memory(self._states[0], self.done).values}
            said = {str(v) for _, v in spots(response) if v not in (None, "")}
            return bool(said - known) and not self._survey.found[call.name].writes
        if any(after == state for state in self._states):
            return False
        created = [new_parts(self._states[i].data, self._states[i + 1].data) for i in self._written]
        gone, added = new_parts(after.data, before.data), new_parts(before.data, after.data)
        if not added and any(made & gone for made in created):
            return False
        return not (REMOVING.match(call.name) and self._takes_written(call))

    def _takes_written(self, call: Call) -> bool:
        """Whether a call takes a value that a write of this walk has shown."""
        written = [self.done[i] for i in self._written]
        known = {str(v.value) for c, text in written for v in shown_values(c.name, text, 0)}
        return any(str(v) in known for _, v in parts(call.arguments))


def _of_different_values(call: Call) -> bool:
    """Whether no two arguments have one value, as a way from a place to itself has."""
    texts = [v for _, v in parts(call.arguments) if isinstance(v, str)]
    return len(texts) == len(set(texts))
