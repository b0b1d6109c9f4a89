"""Which values are accepted: one set of rules for JSON, YAML and the arguments of calls.

Keys are texts and unique. Strings have whole characters only. Numbers are finite and fit into 64
bits. The nesting has a limit that all later code can process.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NamedTuple

from rods.errors import UserError, shown

MOST_DEPTH = 64
MOST_INTEGER = 2**63 - 1
SCALARS = frozenset({str, int, float, bool, type(None)})
MOST_SHOWN = 80  # characters of a key or an id
HALF = re.compile("[\ud800-\udfff]")


class Author(IntEnum):
    """Who wrote the values. Each author may write all that the ones before it may, and more."""

    USER = 0
    RODS = 1  # integers of any size, NaN and Infinity too: a state may hold them
    MODEL = 2  # anything in JSON: a call that no tool accepts is a failed call


class Pairs(list[tuple[Any, Any]]):
    """Keys and values of a mapping, as written; a key may occur twice."""


class Placed(NamedTuple):
    """A part of a value, and the line in which it begins, from 1."""

    line: int
    item: Any


class Beyond(float):
    """Infinity that was written as a number, such as 1e999."""


class ReadError(UserError):
    """Text or data that is not accepted.

    Attributes:
        why: what is wrong, and how to mend it.
        line: from 1; 0 if it is not known.
        path: keys and positions that lead to the fault.
        entry: `named` of the outermost mapping around the fault that has an id, or "".
    """

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(why)
        self.why, self.line, self.entry = why, line, ""
        self.path: list[str | int] = []

    @property
    def message(self) -> str:
        """The text of the error without the line."""
        field = shown(".".join(map(str, self.path)), 2 * MOST_SHOWN)
        return f"{field}: {self.why}{self.entry}" if field else f"{self.why}{self.entry}"

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


def named(entry: Any) -> str:
    """The end of a message about an entry: its id in brackets, or ""."""
    name = entry.get("id") if isinstance(entry, dict) else None
    return f" (id {quoted(name)})" if isinstance(name, str) else ""


def quoted(text: str) -> str:
    """At most `MOST_SHOWN` characters of the text in quotes, with escapes for unprintable ones."""
    return ascii(text[:MOST_SHOWN]) if HALF.search(text) else repr(text[:MOST_SHOWN])


def plain(item: Any, author: Author = Author.USER, depth: int = 0) -> Any:
    """The item as dictionaries, lists, strings, numbers, booleans and None.

    Args:
        item: such data; parts may also be tuples, `Pairs`, `Placed`, or errors to raise.
        depth: levels of nesting around the item.

    Raises:
        ReadError: a part of it is not accepted; the error has the path to it.
    """
    if type(item) in SCALARS:  # most are
        if author < Author.MODEL:
            _check_scalar(item, author)
        return item
    if isinstance(item, Placed):
        try:
            return plain(item.item, author, depth)
        except ReadError as error:
            error.line = error.line or item.line
            raise
    if isinstance(item, ReadError):
        raise item
    if isinstance(item, list | tuple | dict) and depth > MOST_DEPTH:
        if author is Author.MODEL:
            return None  # a call with a value this deep is refused elsewhere
        raise ReadError(f"nested deeper than {MOST_DEPTH}")
    if isinstance(item, Pairs | dict):
        return _mapping(item.items() if isinstance(item, dict) else item, author, depth)
    if isinstance(item, list | tuple):
        return [_part(key, value, author, depth) for key, value in enumerate(item)]
    if isinstance(item, Beyond):
        if author < Author.MODEL:
            raise ReadError("not a finite number")
        return float(item)
    raise ReadError(f"a {type(item).__name__}; only JSON's kinds of values are read")


def _mapping(pairs: Iterable[tuple[Any, Any]], author: Author, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    fault: ReadError | None = None
    for written, value in pairs:
        try:
            key = _key(written, made, author)
            made[key] = _part(key, value, author, depth)
        except ReadError as error:
            fault = fault or error  # the rest is read too, since it may have the id
    if fault is not None:
        fault.entry = named(made) or fault.entry
        raise fault
    return made


def _key(written: Any, made: dict[str, Any], author: Author) -> str:
    key = plain(written, author)
    why = ""
    if not isinstance(key, str):
        why = f"the key {shown(str(key), MOST_SHOWN)} is not text; put it in quotes"
    elif key in made:
        why = f"the key {quoted(key)} appears twice; remove one of them"
    if why:
        raise ReadError(why, written.line if isinstance(written, Placed) else 0)
    return str(key)


def _part(key: str | int, value: Any, author: Author, depth: int) -> Any:
    try:
        return plain(value, author, depth + 1)
    except ReadError as error:
        error.path.insert(0, key)
        raise


def _check_scalar(value: Any, author: Author) -> None:
    if isinstance(value, str):
        if half := HALF.search(value):
            raise ReadError(f"{quoted(half[0])} is half of a character; write the whole one")
    elif author < Author.RODS:
        if isinstance(value, float) and not math.isfinite(value):
            raise ReadError("not a finite number")
        if isinstance(value, int) and not -MOST_INTEGER - 1 <= value <= MOST_INTEGER:
            raise ReadError("an integer beyond 64 bits; write it in quotes, or as a float")
