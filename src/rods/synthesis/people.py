"""Other names for the people in a start state, the same in all of it.

A person is found by the name of a field: "owner", "current_user", "cardholder_name", "first_name",
or the keys of a mapping such as "user_map". A name consists of capitalised words. New names are
those of other people in the seed tasks' start states.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rods.synthesis.catalogue import spaced
from rods.task import Task

RENAMED = 0.6  # share of the names that are exchanged
# Last words of the names of fields that hold a person's name, also before "name".
PERSON = frozenset(
    (
        "user", "username", "customer", "client", "owner", "holder", "cardholder", "passenger",
        "author", "contact", "person", "member", "employee", "by",
    )
)  # fmt: skip
PARTS = {"first": "given", "given": "given", "last": "family", "family": "family"}
NAME = re.compile(r"[A-Z][a-z]+(?:[ -][A-Z][a-z]+){0,2}")
WORD = re.compile(r"[A-Z][a-z]+")


class People:
    """The names of people in the seed tasks' start states, given and family names apart.

    A name that is also a word of the requests is left out: "Support Agent", "Colleague".
    """

    def __init__(self, seeds: Iterable[Task]) -> None:
        found: dict[str, set[str]] = {"given": set(), "family": set()}
        said = set[str]()
        for seed in seeds:
            for name, part in people(seed.start).items():
                found[part].add(name)
            said.update(*(re.findall(r"\b[a-z]+\b", turn.user) for turn in seed.turns))
        self._names = {
            part: sorted(name for name in names if name.lower() not in said)
            for part, names in found.items()
        }

    def exchanged(self, start: Any, rng: random.Random) -> dict[str, str]:
        """New names for some people of a start state, by the old name.

        None of them occurs in the start state.
        """
        chosen = {n: part for n, part in people(start).items() if rng.random() < RENAMED}
        taken = set(re.findall("[a-z]+", json.dumps(start, default=str).lower())) if chosen else ()
        new: dict[str, str] = {}
        for name, part in chosen.items():
            free = [
                other
                for other in self._names[part]
                if other.lower() not in taken and other not in new.values()
            ]
            if free:
                new[name] = rng.choice(free)
        return new


def people(start: Any) -> dict[str, str]:
    """The words of people's names in a start state, each with its part: "given" or "family".

    A word that is also a name of something else, such as the city Austin, is left out.
    """
    found: dict[str, str] = {}
    others: set[str] = set()
    for field, value in _fields(start):
        if not NAME.fullmatch(value):
            continue
        words = WORD.findall(value)
        part = _part(field)
        if part is None:
            others.update(words)
            continue
        for index, word in enumerate(words):
            last = index > 0 and index == len(words) - 1
            found.setdefault(word, "family" if last else part)
    return {word: part for word, part in found.items() if word not in others}


class Name(NamedTuple):
    """A person's name; a part that is not known is empty."""

    given: str = ""
    family: str = ""

    def of(self, parameter: str) -> str:
        """What a parameter such as "first_name" or "cardholder_name" takes of it."""
        words = spaced(parameter).split()
        if {"first", "given"} & {*words}:
            return self.given
        if {"last", "family"} & {*words}:
            return self.family
        held = {"holder", "cardholder"} & {*words} and all(self)
        return " ".join(self) if held else ""


def speaker(start: Any) -> Name:
    """The name of the user for whom the tools work, if a start state has it."""
    found = Name()
    for field, value in _fields(start):
        words = {*spaced(field).split()}
        if "user" not in words or not NAME.fullmatch(value):
            continue
        if "current" in words:
            given, *others = value.split()
            return Name(given, others[-1] if others else "")
        if {"first", "given"} & words:
            found = found._replace(given=value)
        if {"last", "family"} & words:
            found = found._replace(family=value)
    return found


def with_names(data: Any, names: Mapping[str, str]) -> Any:
    """A copy of data with other names, also inside texts, ids and addresses.

    Args:
        names: the new name by the old one.
    """
    if not names:
        return data
    lower = {old.lower(): new.lower() for old, new in names.items()}
    both = {**names, **lower}
    pattern = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(map(re.escape, both))})(?![A-Za-z])")

    def changed(text: str) -> str:
        # A word of a text that begins with a small letter is no name: "mark it as done".
        new = names if " " in text else both
        return pattern.sub(lambda found: new.get(found[0], found[0]), text)

    def key(name: Any) -> Any:
        # A key in small letters without a digit may be a field: "grace_period".
        if not isinstance(name, str) or (name.islower() and not re.search(r"\d", name)):
            return name
        return changed(name)

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key(name): walk(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        return changed(value) if isinstance(value, str) else value

    return walk(data)


def _part(field: str) -> str | None:
    """Which part of a person's name a field holds, None if it holds something else."""
    words = spaced(field).split()
    if not words:
        return None
    named = words[-1] == "name"
    for word in words if named else ():
        if word in PARTS:
            return PARTS[word]
    is_person = words[-1] in PERSON or (named and not PERSON.isdisjoint(words))
    return "given" if is_person else None


def _fields(data: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """All texts with the name of their field; the keys of a mapping to texts are texts too."""
    if isinstance(data, dict):
        words = spaced(name).split()
        if words and words[-1] == "map" and all(isinstance(value, str) for value in data.values()):
            yield from ((" ".join(words[:-1]), key) for key in data if isinstance(key, str))
        for key, value in data.items():
            yield from _fields(value, str(key))
    elif isinstance(data, list):
        for value in data:
            yield from _fields(value, name)
    elif isinstance(data, str):
        yield name, data
