"""Numbers within what people use: the range of a parameter that its schema, its document or the
seed tasks show.

The schema and the document set limits. Without these, the seed tasks show a range: the numbers of
their calls, and of their start states under the parameter's name. It is widened, the more the fewer
numbers there are. A number that a response or the start state holds is in range. The items of a
list are data for a calculation and have no range.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple, TypeGuard

from rods.envs.lexicon import GENERIC, stems
from rods.flows import readable
from rods.grounding import says, spellings
from rods.synthesis.meaning.data import STATE_NAMES, scan
from rods.synthesis.meaning.trace import CallTrace
from rods.task import ToolSpec

FEW = 3  # numbers; fewer are drawn from half the lowest to double the highest
LARGEST = 1e300  # numbers beyond it show no range
VAGUE = GENERIC | {"amount", "quantit", "count"}  # shares and dollars have the same name
NUMBER = r"(-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)"
RANGE = re.compile(
    rf"\b(?:between|from)\s+{NUMBER}\b[^.;,:\d]{{0,40}}?\b(?:and|to)\s+{NUMBER}\b(?![:.,]?\d)"
    rf"|[\[(]{NUMBER}\s*(?:-|,|to|\.\.)\s*{NUMBER}[\])]",
    re.IGNORECASE,
)


class Range(NamedTuple):
    """The lowest and highest number, and what shows them: "schema", "document" or "seed tasks"."""

    low: float
    high: float
    source: str


class OutOfRange(NamedTuple):
    """A number outside the range of its parameter; `position` is that of its call."""

    position: int
    parameter: str
    value: float
    range: Range


@dataclass
class Ranges:
    """What the tools and the seed tasks show about the numbers of each parameter."""

    tools: Mapping[str, ToolSpec]
    _used: dict[tuple[str, str], set[float]] = field(default_factory=lambda: defaultdict(set))
    _held: dict[str, set[float]] = field(default_factory=lambda: defaultdict(set))

    def learn(self, trace: CallTrace) -> None:
        """Add the numbers of a seed task's calls and start state."""
        for call in trace.calls:
            for name, value in call.arguments.items():
                if _is_number(value):
                    self._used[call.name, name].add(value)
        for name, numbers in named_numbers(trace.loaded.data).items():
            self._held[name] |= numbers

    def of(self, tool: str, parameter: str) -> Range | None:
        """The range of a parameter; None if nothing shows one."""
        used = self._used.get((tool, parameter), set())
        spec = self.tools.get(tool)
        schema = spec.parameters.get(parameter, {}) if spec else {}
        documented = _of_schema(schema) or _of_document(str(schema.get("description", "")))
        # A document that the seed tasks contradict was not understood.
        if documented and all(documented.low <= n <= documented.high for n in used):
            return documented
        known = self._known(tool, parameter)
        if not any(known):  # zeros alone show no range
            return None
        low, high = min(known), max(known)
        wide = (high - low) * (1 + 10 / len(known)) if len(known) > 2 else 9 * abs(high)
        return Range(low - wide if low < 0 else max(low - wide, 0), high + wide, "seed tasks")

    def usual(self, tool: str, parameter: str) -> tuple[float, float] | None:
        """The lowest and highest number that the seed tasks show, within the limits.

        If they show none, the limits; None if these are not finite.
        """
        limits, spec = self.of(tool, parameter), self.tools[tool]
        if limits is None or spec.parameters.get(parameter, {}).get("type") == "array":
            return None
        known = self._known(tool, parameter)
        shown = [number for number in known if limits.low <= number <= limits.high]
        low, high = (min(shown), max(shown)) if shown else limits[:2]
        if 0 < len(shown) < FEW:
            low, high = min(low / 2, low * 2), max(high / 2, high * 2)
            low, high = max(low, limits.low), min(high, limits.high)
        return (low, high) if -inf < low <= high < inf else None

    def _known(self, tool: str, parameter: str) -> set[float]:
        return self._used.get((tool, parameter), set()) | under(self._held, parameter)

    def outside(self, trace: CallTrace) -> list[OutOfRange]:
        """Numbers of a task that nothing shows to be possible."""
        amounts = [
            (position, name, value)
            for position, call in enumerate(trace.calls)
            for name, value in call.arguments.items()
            if _is_number(value) and not _names_thing(name)
        ]
        held = named_numbers(trace.loaded.data) if amounts else {}
        found = []
        for position, name, value in amounts:
            limits = self.of(trace.calls[position].name, name)
            if limits is None or limits.low <= value <= limits.high:
                continue
            if value not in under(held, name) and not _shown(value, trace, position):
                found.append(OutOfRange(position, name, value, limits))
        return found


def named_numbers(state: Any) -> dict[str, set[float]]:
    """The numbers of a state by their name."""
    found: dict[str, set[float]] = defaultdict(set)
    for entry in scan(state, STATE_NAMES).entries:
        for name, value in entry.fields.items():
            if _is_number(value):
                found[name].add(value)
    return found


def under(held: Mapping[str, set[float]], parameter: str) -> set[float]:
    """The numbers whose name has all words of a parameter."""
    parts = stems(parameter) - VAGUE
    named = [numbers for name, numbers in held.items() if parts and parts <= stems(name)]
    return set[float]().union(*named)


def _is_number(value: Any) -> TypeGuard[float]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) <= LARGEST  # and so neither infinite nor NaN


def _names_thing(parameter: str) -> bool:
    """Whether a parameter's numbers name things, and are no amounts."""
    return "id" in stems(parameter) or parameter.lower().endswith("number")


def _shown(number: float, trace: CallTrace, position: int) -> bool:
    """Whether a response before a call holds a number."""
    return any(
        says(t, written)
        for t in map(readable, trace.flat[:position])
        for written in spellings(number)
    )


def _of_schema(schema: Mapping[str, Any]) -> Range | None:
    """The limits of a schema, of its items, or of its first option that has any."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if _is_number(low) or _is_number(high):
        return Range(low if _is_number(low) else -inf, high if _is_number(high) else inf, "schema")
    inner = [schema.get("items"), *schema.get("anyOf", ())]
    found = (_of_schema(one) for one in inner if isinstance(one, Mapping))
    return next((limits for limits in found if limits), None)


def _of_document(description: str) -> Range | None:
    """The limits that a description writes: "from 0 to 100"."""
    match = RANGE.search(description)
    if match is None:
        return None
    low, high = (float(part.replace(",", "")) for part in match.groups() if part)
    return Range(low, high, "document") if low < high else None
