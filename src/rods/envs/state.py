"""Snapshots of a world: equal as Python values are, with a digest that any process agrees on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any


class State:
    """A snapshot of all public attributes, as plain data: {class: {attribute: value}}.

    Equality is Python's on the data, so 1 equals 1.0 and the order of keys is of no account; but
    nan equals nan, so that a right answer reaches the state of the ground truth. A state that
    cannot be read (a directory inside itself) equals nothing, itself included.

    Args:
        data: the snapshot; None if it cannot be read, or if only the digest is known here.
        digest: as another process told it; computed when it is first asked for otherwise.
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
        """SHA-256 that equal states share in any process; empty where the state is unreadable."""
        if self._digest is None:
            try:
                text = "" if self.data is None else encode(self.data)
            except (RecursionError, ValueError, TypeError):
                text = ""
            self._digest = hashlib.sha256(text.encode()).hexdigest() if text else ""
        return self._digest


def same(one: Any, other: Any) -> bool:
    """Whether plain data are equal, nan to nan; exactly then `encode` gives the same text.

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
    """Whether a set or a mapping has nan among its members or keys, which no look-up finds."""
    return any("NaN" in encode(key) for key in keys)


def encode(value: Any) -> str:
    """Plain data as JSON such that values which are equal in Python are written alike.

    Raises:
        TypeError: something is no plain data.
        RecursionError, ValueError: it contains itself.
    """
    return json.dumps(_canonical(value), sort_keys=True)


def decode(text: str) -> Any:
    """What `encode` wrote, equal to the original.

    Raises:
        ValueError: it is not what `encode` writes.
    """
    return json.loads(text, object_hook=_restore)


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        if all(type(key) is str and key[:1] != "\0" for key in value):
            return {key: _canonical(item) for key, item in value.items()}
        return {"\0map": _sorted(value.items())}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
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
