"""Values of one record where the seed tasks take them from one, see `meaning.records`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rods.envs.state import State
from rods.synthesis.meaning.records import RecordPairs, identifying
from rods.synthesis.meaning.whereabouts import Whereabouts
from rods.task import Call


@dataclass
class OneRecord:
    """What the values so far mean for those of the next call.

    Args:
        pairs: what the seed tasks show.
        start: the start state.
        done: the calls so far, each with its response.
    """

    pairs: RecordPairs
    start: State
    done: Sequence[tuple[Call, str]]

    @cached_property
    def where(self) -> Whereabouts:
        return Whereabouts(self.start, [response for _, response in self.done])

    def values(self, tool: str, parameter: str, own: Mapping[str, Any]) -> list[Any]:
        """Values that are of one record with all others that fix it; empty if none fix it.

        If the others are of different records, the values are of one of these, and `keeps` is
        false for the call.

        Args:
            own: the arguments of the call so far.
        """
        partners = self._partners(tool, parameter, own)
        found = next(filter(None, (self.where.of(names, v) for v, names in partners)), [])
        return self.agreeing(tool, parameter, found, own) or found

    def agreeing(
        self, tool: str, parameter: str, values: Sequence[Any], own: Mapping[str, Any]
    ) -> list[Any]:
        """Those of some values that are not of another record than the values so far."""
        others = [other for other, _ in self._partners(tool, parameter, own)]
        return [
            value
            for value in values
            if all(self.where.together(other, value) is not False for other in others)
        ]

    def keeps(self, call: Call) -> bool:
        """Whether no values of a call, or of it and an earlier call, are of different records."""
        return all(
            self.agreeing(call.name, name, [value], call.arguments)
            for name, value in identifying(call)
        )

    def _partners(
        self, tool: str, parameter: str, own: Mapping[str, Any]
    ) -> Iterator[tuple[Any, Sequence[str]]]:
        """The values that fix the record, those of the call first, each with the names there."""
        expected = self.pairs.partners((tool, parameter))
        if not expected:
            return
        latest = {call.name: call for call, _ in self.done}
        this = Call.model_construct(name=tool, arguments=dict(own))
        for partner in sorted(expected, key=lambda partner: not partner.one_call):
            name, other = partner.argument
            call = this if partner.one_call else latest.get(name)
            for at, value in identifying(call) if call else ():
                if at == other:
                    yield value, partner.names
