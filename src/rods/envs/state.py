"""Snapshots of a session's state: compared as Python values, with a digest for other processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from pydantic_core import to_jsonable_python

SCALARS = frozenset({str, int, float, bool, type(None)})
SAME = frozenset({str, int, type(None)})  # what is written as it is; most of the data


class State:
    """A snapshot of all public attributes, as plain data: {class: {attribute: value}}.

    Equality is that of Python's data, so 1 equals 1.0 and the order of keys does not matter; but
    nan equals nan, so that a right answer reaches the state of the ground truth. A state that
    cannot be read (a directory inside itself) equals no state, not even itself.

    Args:
        data: the snapshot; None if it cannot be read, or if only the digest is known here.
        digest: from another process; None: it is computed at the first use.
    """

    def __init__(self, data: dict[str, Any] | None, digest: str | None = None) -> None:
        self.data = data
        self._digest = digest

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, State):
            return NotImplemented
        if self.data is None or other.data is None:
            return self.digest == other.digest != ""
        try:
            return same(self.data, other.data)
        except RecursionError:
            return False

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def digest(self) -> str:
        """SHA-256, the same for equal states in every process; empty if the state is unreadable."""
        if self._digest is None:
            try:
                text = "" if self.data is None else encode(self.data)
            except (RecursionError, ValueError, TypeError):
                text = ""
            self._digest = hashlib.sha256(text.encode()).hexdigest() if text else ""
        return self._digest


def shared(states: Iterable[State]) -> list[State]:
    """The states in order; one that is equal to the state before it is that same object.

    Their data is kept once, and their digest is computed once.
    """
    found: list[State] = []
    for state in states:
        found.append(found[-1] if found and state == found[-1] else state)
    return found


def same(one: Any, other: Any) -> bool:
    """Whether plain data are equal, where nan equals nan; if and only if, `encode` gives one text.

    Raises:
        RecursionError: one contains itself.
    """
    if one == other:
        return True
    if isinstance(one, float) and isinstance(other, float):
        return one != one and other != other
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() == other.keys():
            return all(same(value, other[key]) for key, value in one.items())
        return _with_nan(one) and _with_nan(other) and encode(one) == encode(other)
    if isinstance(one, set | frozenset) and isinstance(other, set | frozenset):
        return _with_nan(one) and _with_nan(other) and encode(one) == encode(other)
    if type(one) is type(other) and isinstance(one, list | tuple) and len(one) == len(other):
        return all(map(same, one, other))
    return False


def _with_nan(keys: Iterable[Any]) -> bool:
    """Whether nan is a member of a set or a key of a mapping, where a look-up cannot find it."""
    return any("NaN" in encode(key) for key in keys)


def encode(value: Any) -> str:
    """Plain data as JSON; values that are equal in Python give the same text.

    Raises:
        TypeError: a part is no plain data.
        RecursionError, ValueError: the value contains itself.
    """
    return json.dumps(_canonical(value), sort_keys=True)


def decode(text: str) -> Any:
    """The value that `encode` wrote, equal to the original.

    Raises:
        ValueError: the text is not from `encode`.
    """
    return json.loads(text, object_hook=_restore)


def serialised(value: Any) -> Any:
    """Plain data, with sets as sorted lists and objects as pydantic serialises them.

    Raises:
        PydanticSerializationError: a part cannot be serialised.
        RecursionError: the value contains itself.
    """
    if type(value) in SCALARS:
        return value
    if isinstance(value, dict):
        return {
            k if isinstance(k, str) else str(serialised(k)): v
            if type(v) in SCALARS
            else serialised(v)
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [item if type(item) in SCALARS else serialised(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((serialised(item) for item in value), key=repr)
    made = to_jsonable_python(value)
    return serialised(made)


def _canonical(value: Any) -> Any:
    if type(value) in SAME:
        return value
    if isinstance(value, dict):
        if all(type(key) is str and key[:1] != "\0" for key in value):
            return {k: v if type(v) in SAME else _canonical(v) for k, v in value.items()}
        return {"\0map": _sorted(value.items())}
    if isinstance(value, list):
        return [item if type(item) in SAME else _canonical(item) for item in value]
    if isinstance(value, tuple):
        return {"\0tuple": [_canonical(item) for item in value]}
    if isinstance(value, set | frozenset):
        return {"\0set": _sorted(value)}
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)  # True == 1 == 1.0
    return value


def _sorted(values: Iterable[Any]) -> list[str]:
    return sorted(encode(value) for value in values)


def _restore(found: dict[str, Any]) -> Any:
    if "\0tuple" in found:
        return tuple(found["\0tuple"])
    if "\0set" in found:
        return {decode(item) for item in found["\0set"]}
    if "\0map" in found:
        return dict(decode(item) for item in found["\0map"])
    return found
