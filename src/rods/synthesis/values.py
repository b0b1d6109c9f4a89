"""Sources of argument values: the session's state, the seed tasks, and closed sets.

A value source only proposes; execution shows whether the tool accepts the proposal.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil, floor
from typing import Any

from rods.flows import placed
from rods.synthesis.catalogue import Phrase
from rods.synthesis.meaning.ranges import Ranges
from rods.synthesis.one_record import OneRecord
from rods.synthesis.people import speaker
from rods.synthesis.state_values import StateValues
from rods.task import Task, ToolSpec

WORD = re.compile(r"[A-Za-z]{3,12}")
TEXT_WORDS = (2, 4)
EXCERPT_WORDS = (2, 6)
STEPS = 4  # least numbers that a range holds
DIGITS = 6  # of a number, after the point


class ValueBank:
    """The values in the seed tasks, by parameter and by kind, and their words."""

    def __init__(self, seeds: Iterable[Task], phrases: Mapping[str, Phrase]) -> None:
        self._by_parameter: dict[tuple[str, str], list[Any]] = defaultdict(list)
        self._by_kind: dict[str, list[Any]] = defaultdict(list)
        self._whole: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._texts: list[list[str]] = []
        words: dict[str, None] = {}
        for task in seeds:
            for call in task.calls:
                self._whole[call.name].append(call.arguments)
                for name, value in call.arguments.items():
                    kind = phrases[call.name].slots.get(name, "")
                    if kind == "text" and isinstance(value, str) and " " in value:
                        self._texts.append(value.split())
                    if not _short(value):
                        continue
                    for item in value if isinstance(value, list) else [value]:
                        self._by_kind[kind].append(item)
                        self._by_parameter[call.name, name].append(item)
                    words.update(dict.fromkeys(WORD.findall(str(value))))
        self.words = sorted({word.lower() for word in words or WORD.findall(" ".join(phrases))})

    def parameter(self, tool: str, name: str) -> list[Any]:
        return self._by_parameter.get((tool, name), [])

    def kind(self, kind: str) -> list[Any]:
        return self._by_kind.get(kind, [])

    def excerpt(self, rng: random.Random) -> str:
        """A few consecutive words of a text in a seed task; empty if there is no text."""
        text = rng.choice(self._texts) if self._texts else []
        count = rng.randint(*EXCERPT_WORDS)
        start = rng.randint(0, max(0, len(text) - count))
        return " ".join(text[start : start + count])

    def whole(self, tool: str) -> list[dict[str, Any]]:
        """Complete argument sets in the seed tasks."""
        return self._whole.get(tool, [])


class ValueSource:
    """Proposes arguments for calls in a given state.

    Attributes:
        phrases: the entry of each tool.
        ranges: the numbers that the seed tasks show.
        near: complete argument sets that are known to suit the start state, by tool.
    """

    def __init__(
        self, bank: ValueBank, phrases: Mapping[str, Phrase], ranges: Ranges, rng: random.Random
    ) -> None:
        self.bank, self.phrases, self.ranges, self.rng = bank, phrases, ranges, rng
        self.near: Mapping[str, list[dict[str, Any]]] = {}

    def arguments(
        self,
        tool: ToolSpec,
        state: StateValues,
        fixed: Mapping[str, Sequence[Any]],
        record: OneRecord,
        *,
        near: bool = False,
    ) -> dict[str, Any]:
        """A full argument set: `fixed` values, all required ones, and few optional ones.

        Args:
            fixed: by their place, see `flows`.
            state: values from the current state.
            record: gives the values that must be of one record with others.
            near: use a set that suits the start state, if there is one.
        """
        entry = self.phrases[tool.name]
        if near and self.near.get(tool.name):
            return _with(fixed, self.rng.choice(self.near[tool.name]))
        whole = self.bank.whole(tool.name)
        # Closed sets combine freely in the docs but not in the tools (doors, units, routes).
        example = self.rng.choice(whole) if whole and self.rng.random() < 0.5 else {}
        arguments: dict[str, Any] = {}
        for name, schema in tool.parameters.items():
            if name in fixed or f"{name}[]" in fixed:
                continue
            kind = entry.slots.get(name, "text")
            if name not in tool.required:
                # The seed tasks show which optional parameters are used together.
                used = name in example if example else self.rng.random() < 0.3
                if not used:
                    continue
            of_record = record.values(tool.name, name, _with(fixed, arguments))
            if of_record and schema.get("type") != "object":
                arguments[name] = self._some(of_record, schema)
            elif name in example and kind in ("choice", "unit", "flag", "airport", "currency"):
                arguments[name] = example[name]
            else:
                arguments[name] = self.value(tool.name, name, kind, schema, state)
        return _with(fixed, arguments)

    def value(
        self, tool: str, name: str, kind: str, schema: dict[str, Any], state: StateValues
    ) -> Any:
        """One value of a parameter."""
        entry, rng = self.phrases[tool], self.rng
        if schema.get("type") == "array":
            inner = schema.get("items", {})
            count = rng.randint(3, 4) if kind == "numbers" else rng.randint(1, 2)
            scalar = "number" if kind == "numbers" else kind
            items = [self.value(tool, name, scalar, inner, state) for _ in range(count)]
            return list({repr(item): item for item in items}.values())
        if name in entry.choices:
            return rng.choice(entry.choices[name])
        if kind == "flag":
            return rng.random() < 0.5 if schema.get("type") == "boolean" else "true"
        if schema.get("type") in ("integer", "number") and kind in ("count", "number", "amount"):
            bounds = entry.ranges.get(name) or self.ranges.usual(tool, name)
            return self._number(bounds, kind, schema["type"])
        if kind == "person" and (own := speaker(state.snapshot.data).of(name)):
            return own
        held = state.of(kind, name)
        if held and (kind != "destination" or rng.random() < 0.5):
            return rng.choice(held)
        if kind == "text":
            words = " ".join(self._words(rng.randint(*TEXT_WORDS)))
            return (self.bank.excerpt(rng) if rng.random() < 0.5 else "") or words
        if kind in ("new_name", "destination"):
            return self.new_name(folder=name in ("dir_name", "destination"))
        if kind == "date":
            return (
                f"{rng.choice((2025, 2026, 2027))}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
            )
        if kind == "code":
            return "US" + "".join(rng.choice("0123456789") for _ in range(7))
        if kind == "word":
            return rng.choice(self.bank.words)
        pool = self.bank.parameter(tool, name) or self.bank.kind(kind)
        return rng.choice(pool) if pool else " ".join(self._words(1))

    def new_name(self, folder: bool = False) -> str:
        """A new file or folder name of one or two words."""
        name = "_".join(self._words(self.rng.randint(1, 2)))
        return name if folder else f"{name}.{self.rng.choice(('txt', 'md', 'csv', 'pdf', 'log'))}"

    def _words(self, count: int) -> list[str]:
        return [self.rng.choice(self.bank.words) for _ in range(count)]

    def _some(self, values: Sequence[Any], schema: dict[str, Any]) -> Any:
        """One of the values, or one or two in a list; a key of the data is a text."""
        if schema.get("type") == "array":
            count = min(len(values), self.rng.randint(1, 2))
            inner = schema.get("items", {})
            return [self._some([value], inner) for value in self.rng.sample(values, count)]
        value = self.rng.choice(values)
        is_number = schema.get("type") == "integer" and isinstance(value, str) and value.isdecimal()
        return int(value) if is_number else value

    def _number(self, bounds: tuple[float, float] | None, kind: str, type_: str) -> float:
        low, high = bounds or {"count": (1, 60), "amount": (100, 5000)}.get(kind, (2, 400))
        if type_ == "integer":
            return self.rng.randint(ceil(low), max(ceil(low), floor(high)))
        if (low, high) == (0, 1):
            return self.rng.choice((0.5, 1.0))
        step = self.rng.choice((1.0, 0.5)) if high < 1000 else 50.0
        while 0 < high - low < STEPS * step:
            step /= 10
        value = round(round(self.rng.uniform(low, high) / step) * step, DIGITS)
        value = min(max(value, low), high)
        # People write whole amounts in either form, and the tools accept both.
        return int(value) if value == int(value) and self.rng.random() < 0.5 else value


def _with(fixed: Mapping[str, Sequence[Any]], arguments: dict[str, Any]) -> dict[str, Any]:
    for place, values in fixed.items():
        arguments = placed(arguments, place, values)
    return arguments


def _short(value: Any) -> bool:
    """Whether a value is short enough for a compact request."""
    if isinstance(value, list):
        return len(value) <= 4 and all(_short(item) for item in value)
    return not isinstance(value, dict) and len(str(value)) <= 24
