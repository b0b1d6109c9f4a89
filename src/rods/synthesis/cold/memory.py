"""What is known at some point of a walk, and what belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rods.envs.state import State
from rods.synthesis.cold.known import Known, Pool, held, is_id, pool, shown, taken
from rods.synthesis.meaning.whereabouts import Whereabouts
from rods.task import Call

BRIDGES = 6  # ids over which two values may belong together


@dataclass
class Memory:
    """What is known at some point of a walk.

    Args:
        start: the start state, as the tools hold it.
        done: the calls so far, each with its response.
    """

    start: State
    done: Sequence[tuple[Call, str]] = ()
    _bridges: dict[str, list[Any]] = field(default_factory=dict)

    @cached_property
    def values(self) -> list[Known]:
        """What was shown or taken, the newest first."""
        found: list[Known] = []
        for at, (call, response) in reversed(list(enumerate(self.done))):
            found += [*shown(call.name, response, at), *taken(call, at)]
        return found

    @cached_property
    def pool(self) -> Pool:
        """The same by name."""
        return pool(self.values)

    @cached_property
    def where(self) -> Whereabouts:
        return Whereabouts(self.start, [response for _, response in self.done])

    @cached_property
    def _ids(self) -> frozenset[str]:
        """The names of ids and keys."""
        found = [*held(self.start), *self.values]
        return frozenset(v.field for v in found if v.is_key or is_id(v.field))

    def bridged(self, one: str, value: Any) -> bool:
        """Whether a value is in a record with an id that is in a record with another value, as
        another variant of an item's product is."""
        if one not in self._bridges:
            found = self.where.of(self._ids, one)
            self._bridges[one] = [v for v in found if str(v) != one][:BRIDGES]
        return any(self.where.together(id_, value) for id_ in self._bridges[one] if id_ != value)
