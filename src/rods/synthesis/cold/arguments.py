"""Arguments for a call, out of what a walk knows. They are only proposed; the tool decides.

Values are preferred in the order in which a person has them: what was shown or said before, what
the data holds under the parameter's name, and what may be invented. The values of a call are of one
record, if there are such.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rods.envs.lexicon import READING
from rods.flows import parts
from rods.synthesis.cold import inventions
from rods.synthesis.cold.known import (
    Known,
    Open,
    as_type,
    fits,
    held,
    held_pool,
    inner,
    is_id,
    suiting,
)
from rods.synthesis.cold.memory import Memory
from rods.synthesis.cold.suited import Suited
from rods.synthesis.meaning.ranges import Ranges
from rods.task import ToolSpec

AGAIN = 0.85  # share of values that are among those known, where there are such
SAME = 0.97  # of ids
SUBJECT = 0.8  # share of ids that an earlier call has taken, where there are such
NEW = 0.9  # share of invented values where a tool takes any
BRIDGED = 0.3  # share of ids that are only indirectly of one record with another one
OPTIONAL = 0.25  # share of optional parameters that are used
WORD_LETTERS = 3


@dataclass
class Proposer:
    """Proposes arguments.

    Attributes:
        opened: parameters that take any value.
        suited: ids that tools take.
    """

    ranges: Ranges
    opened: Open = frozenset()
    suited: Suited = field(default_factory=Suited)

    def arguments(
        self,
        tool: ToolSpec,
        memory: Memory,
        rng: random.Random,
        linked: Mapping[str, Any] | None = None,
        optional: float = OPTIONAL,
    ) -> dict[str, Any] | None:
        """A full argument set; None if some required value is not to be had.

        Args:
            linked: values that are decided already.
            optional: the share of optional parameters that are used.
        """
        own = dict(linked or {})
        names = [n for n in tool.parameters if n not in own]
        for name in names:
            if name not in tool.required and rng.random() >= optional:
                continue
            value = self._value(tool, name, tool.parameters[name], memory, own, rng)
            if value is not None:
                own[name] = value
            elif name in tool.required:
                return None
        return {name: own[name] for name in tool.parameters if name in own}

    def _value(
        self,
        tool: ToolSpec,
        name: str,
        schema: Mapping[str, Any],
        memory: Memory,
        own: Mapping[str, Any],
        rng: random.Random,
    ) -> Any:
        schema = inner(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return rng.choice([c for c in schema["enum"] if c is not None] or [None])
        match schema.get("type"):
            case "boolean":
                return rng.random() < 0.5
            case "array":
                items = {"description": schema.get("description", ""), **schema.get("items", {})}
                count = rng.choice((1, 1, 2))
                found = [self._value(tool, name, items, memory, own, rng) for _ in range(count)]
                kept = list({repr(item): item for item in found if item is not None}.values())
                return kept or None
            case "object":
                return self._object(tool, schema, memory, own, rng)
            case "null":
                return None
        return self._scalar(tool, name, schema, memory, own, rng)

    def _object(
        self,
        tool: ToolSpec,
        schema: Mapping[str, Any],
        memory: Memory,
        own: Mapping[str, Any],
        rng: random.Random,
    ) -> dict[str, Any] | None:
        fields: Mapping[str, Any] = schema.get("properties", {})
        about, made = schema.get("description", ""), dict[str, Any]()
        for name, field_schema in fields.items():
            if name in schema.get("required", fields):
                described = {**field_schema, "description": field_schema.get("description", about)}
                value = self._value(tool, name, described, memory, {**own, **made}, rng)
                if value is None:
                    return None
                made[name] = value
        return made or None

    def _scalar(
        self,
        tool: ToolSpec,
        name: str,
        schema: Mapping[str, Any],
        memory: Memory,
        own: Mapping[str, Any],
        rng: random.Random,
    ) -> Any:
        before = suiting(tool.name, name, schema, memory.pool)
        there = suiting(tool.name, name, schema, held_pool(memory.start))
        if schema.get("type") in ("integer", "number") and not is_id(name):
            usable = [v for v in before if not v.used]
            if usable and rng.random() < AGAIN:
                return as_type(rng.choice(usable).value, schema)
            return inventions.number(self.ranges.usual(tool.name, name), name, schema, rng)
        if (tool.name, name) in self.opened and not is_id(name):
            return self._free(tool, name, schema, memory, own, there, rng)
        if is_id(name):
            place = memory.start, tool.name, name
            before, there = (
                list(self.suited.without_refused(*place, values, rng)) for values in (before, there)
            )
        taken_before = [v for v in before if v.used] if is_id(name) else []
        if taken_before and rng.random() < SUBJECT:
            before = taken_before
        bridged = is_id(name) and rng.random() < BRIDGED
        if before and rng.random() < (SAME if is_id(name) else AGAIN):
            return as_type(self._of_record(before, memory, own, rng, bridged), schema)
        if there:
            return as_type(self._of_record(there, memory, own, rng, bridged), schema)
        if before:
            return as_type(self._of_record(before, memory, own, rng, bridged), schema)
        made = self._invented(tool, name, schema, memory, rng)
        if made is None:
            made = self._beside(schema, memory, own, rng)
        return inventions.labelled(name, rng) if made is None and fits("", schema) else made

    def _free(
        self,
        tool: ToolSpec,
        name: str,
        schema: Mapping[str, Any],
        memory: Memory,
        own: Mapping[str, Any],
        there: Sequence[Known],
        rng: random.Random,
    ) -> Any:
        """A value for a parameter that takes any: parts of an address are those of one address."""
        exact = [v for v in there if v.field.lower() == name.lower()]
        if exact and inventions.is_part(name):
            parts_of = {n: v for n, v in own.items() if (tool.name, n) in self.opened}
            return self._of_record(exact, memory, parts_of, rng)
        made = self._invented(tool, name, schema, memory, rng)
        if made is not None and (not there or rng.random() < NEW):
            return made
        return self._of_record(there, memory, {}, rng) if there else None

    def _invented(
        self,
        tool: ToolSpec,
        name: str,
        schema: Mapping[str, Any],
        memory: Memory,
        rng: random.Random,
    ) -> Any:
        if listed := [e for e in inventions.examples(schema) if fits(e, schema)]:
            other = inventions.invented(name, rng) if len(listed) == 1 else ""
            return other or rng.choice(listed)
        if not fits("", schema):
            return inventions.number(None, name, schema, rng) if fits(0, schema) else None
        if READING.match(tool.name) and name.lower() in ("query", "keyword", "term", "search"):
            texts = [v.value for v in held(memory.start) if isinstance(v.value, str)]
            words = [w for text in texts for w in text.split()[:1] if len(w) >= WORD_LETTERS]
            return rng.choice(words) if words else None
        return inventions.invented(name, rng) or None

    def _of_record(
        self,
        values: Sequence[Known],
        memory: Memory,
        own: Mapping[str, Any],
        rng: random.Random,
        bridged: bool = False,
    ) -> Any:
        """One of the values: of a record with all others of the call, or at least of no other.

        Args:
            bridged: rather one that shares an id with the last other, see `Memory.bridged`.
        """
        others = [v for _, v in parts(dict(own)) if isinstance(v, str)]
        judged = [(v, [memory.where.together(o, v.value) for o in others]) for v in values]
        best = (
            [v for v, found in judged if found and all(found)]
            or [v for v, found in judged if any(found) and False not in found]
            or [v for v, found in judged if False not in found]
            or list(values)
        )
        if others and bridged:
            best = [v for v in values if memory.bridged(others[-1], v.value)] or best
        latest = max(v.at for v in best)
        if latest >= 0 and rng.random() < 0.5:
            best = [v for v in best if v.at == latest]
        return rng.choice(best).value

    def _beside(
        self, schema: Mapping[str, Any], memory: Memory, own: Mapping[str, Any], rng: random.Random
    ) -> Any:
        """A value of no fitting name that is in a record with the call's other values."""
        others = [v for _, v in parts(dict(own)) if isinstance(v, str)]
        near = [
            v.value
            for v in held(memory.start)
            if others
            and fits(v.value, schema)
            and all(v.value != o and memory.where.together(o, v.value) for o in others)
        ]
        return as_type(rng.choice(near), schema) if near else None
