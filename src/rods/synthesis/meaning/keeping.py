"""Start states after values were redrawn: the learned equalities hold again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rods.envs.bfcl_mends import deep_copy
from rods.synthesis.meaning.data import Path
from rods.synthesis.meaning.equalities import KEY, Equalities

ROUNDS = 3  # an entry that is named may itself name another one


def with_equalities(start: Any, equalities: Equalities) -> Any:
    """A copy of a start state in which a record takes the values of the entries that it names.

    Keys are not changed.
    """
    made = deep_copy(start)
    for _ in range(ROUNDS):
        broken = [b for b in equalities.broken(made) if b.equality.name != KEY]
        done: set[frozenset[Path]] = set()
        for found in broken:
            place = _place(found.path, found.equality.name)
            both = frozenset((place, _place(found.other_path, found.equality.other_name)))
            if both not in done:  # two lists may name each other's entries
                done.add(both)
                _put(made, place, found.values[1])
        if not broken:
            break
    return made


def _place(path: Path, name: str) -> Path:
    """The path of a field; for two fixed paths its name is the whole path."""
    return (*path, name) if path else tuple(name.split("/"))


def _put(data: Any, path: Sequence[str], value: Any) -> None:
    *way, last = (part for part in path if part)  # a list in a list has no name
    try:
        for part in way:
            data = data[int(part) if isinstance(data, list) else _key(data, part)]
        data[_key(data, last)] = value
    except KeyError:  # a name has a slash or is empty; the gate refuses the state
        return


def _key(data: dict[Any, Any], text: str) -> Any:
    for key in data:
        if str(key) == text:
            return key
    raise KeyError(text)
