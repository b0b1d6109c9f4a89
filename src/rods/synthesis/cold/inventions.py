"""Values that are in no data: names of new things, texts, numbers, and what a document lists."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from math import ceil, floor, log10
from typing import Any

from rods.files.reading import parse_yaml
from rods.grounding import choices
from rods.synthesis.catalogue import spaced

LISTED = re.compile(
    r"\b(?:for example|for instance|e\.g\.|such as)[:,]?\s+([^.;()\n]{2,120})", re.I
)
QUOTED = re.compile(r"'([^'\n]{1,40})'|\"([^\"\n]{1,40})\"|`([^`\n]{1,40})`")
SPLIT = re.compile(r",\s*(?:or |and )?| or | and ")
PART = re.compile(r"\$(given|family)")
NO_VALUES = ("etc", "quantity", "amount", "number")
WORDS = 3  # of an example in a document
DECIMALS = 6
LEAST = 10.0**-DECIMALS  # width of bounds that numbers are drawn from
DEFAULT = (2.0, 20.0)  # a number of which nothing is known
MONEY = (10.0, 200.0)
SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5)
AMOUNT = re.compile(r"amount|price|cost|budget|fee|salary|total|balance|payment", re.I)
ODD = "Quzzlewick 417"
"""A value that no data holds. A tool that takes it takes any."""


@cache
def _table() -> dict[str, Any]:
    text = (files("rods.synthesis.cold") / "inventions.yaml").read_text("utf-8")
    table: dict[str, Any] = parse_yaml(text)
    return table


@cache
def _row(parameter: str) -> dict[str, Any]:
    """The row with the longest name that ends the parameter's; empty if there is none."""
    name, best = f" {spaced(parameter)}", ""
    found: dict[str, Any] = {}
    for row in _table()["rows"]:
        for end in row["names"]:
            if name.endswith(f" {end}") and len(end) > len(best):
                best, found = end, row
    return found


def is_part(parameter: str) -> bool:
    """Whether a value is a part of something, as a city is of an address."""
    return bool(_row(parameter).get("part"))


def invented(parameter: str, rng: random.Random) -> str:
    """A value by the parameter's name; "" if its name says nothing."""
    forms = _row(parameter).get("values", ())
    if not forms:
        return ""
    form: str = rng.choice(forms)
    made = PART.sub(lambda part: rng.choice(_table()[part[1]]), form)
    plain = "_$" in form or "@" in form
    return made.lower() if plain else made


def labelled(parameter: str, rng: random.Random) -> str:
    """A value for a parameter of which nothing is known: "product B"."""
    return f"{spaced(parameter)} {rng.choice('ABCDEF')}"


def examples(schema: Mapping[str, Any]) -> list[str]:
    """The values that a document lists: "for example dog, cat", "either 'a' or 'b'"."""
    described = str(schema.get("description", ""))
    if found := [str(c) for c in choices(schema)]:
        return found
    if quoted := [next(filter(None, match.groups())) for match in QUOTED.finditer(described)]:
        return quoted
    listed = LISTED.search(described)
    items = [item.strip(" .'\"") for item in SPLIT.split(listed[1])] if listed else []
    return [item for item in items if item and len(item.split()) <= WORDS and item not in NO_VALUES]


def number(
    bounds: tuple[float, float] | None,
    parameter: str,
    schema: Mapping[str, Any],
    rng: random.Random,
) -> int | float:
    """A round number within bounds and, if there is one, none at their ends."""
    low, high = bounds or (MONEY if AMOUNT.search(parameter) else DEFAULT)
    if schema.get("type") == "integer":
        low, high = ceil(low), floor(high)
        most = min(high, low + 20) if bounds is None else high
        return rng.randint(int(low), max(int(low), int(most)))
    if high - low < LEAST:
        return low
    if (low, high) == (0, 1):
        return rng.choice(SHARES)
    step = 10.0 ** floor(log10((high - low) / 2))
    if (high - low) / step < 5:
        step /= 2
    first, last = floor(low / step) + 1, ceil(high / step) - 1
    value = rng.randint(first, max(first, last)) * step
    return round(min(max(value, low), high), DECIMALS)
