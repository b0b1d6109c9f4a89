"""Values that a start state, responses and earlier calls hold, by the names that they have there.

A value suits a parameter if its name, or that of its collection or of the tool that showed it,
speaks for it: `patient_id` takes a key of `patients`, and the `patient_id` of a response.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from rods.envs.lexicon import GENERIC, READING, WORD, stem
from rods.envs.state import State
from rods.flows import parts, spots
from rods.synthesis.meaning.data import STATE_NAMES, Scan, comparable, parsed, scan
from rods.task import Call, ToolSpec

START = -1  # position of what the start state holds
SHORT = 60  # characters of a response without structure that is a value
CLOSE = 1.0  # below the best score that a value for the same parameter may be
DOING = (
    "add book buy cancel change create delete do edit make modify new open order pay place post put"
    " register remove return send set start update use write"
)
VERBS = frozenset(map(stem, re.findall(r"\w+", DOING)))
Name = frozenset[str]
Open = frozenset[tuple[str, str]]  # (tool, parameter) that take any value


class Known(NamedTuple):
    """A value that somebody may name.

    Attributes:
        field: name of its field, parameter, list or collection; "" if it has none.
        about: stems of its collection, or of the tool that showed it.
        at: position of the call that showed or took it; `START` for the start state.
        is_key: whether it is the key of a record.
        used: whether it was an argument.
    """

    value: Any
    field: str
    about: Name
    at: int = START
    is_key: bool = False
    used: bool = False


@lru_cache(maxsize=4096)
def name_stems(name: str) -> Name:
    """The stems of the words of a name."""
    return frozenset(stem(word.lower()) for word in WORD.findall(name))


@lru_cache(maxsize=4096)
def topic(tool: str) -> Name:
    """What a tool is about: the words of its name without the verb."""
    return name_stems(READING.sub("", tool)) - VERBS - GENERIC


@lru_cache(maxsize=64)
def held(state: State) -> tuple[Known, ...]:
    """The values of a state, each once for each name."""
    return tuple(dict.fromkeys(_of_scan(scan(state.data, STATE_NAMES), frozenset(), START)))


@lru_cache(maxsize=1024)
def shown(tool: str, response: str, at: int) -> tuple[Known, ...]:
    """The values of a response."""
    data = parsed(response)
    if isinstance(data, dict | list):
        return tuple(dict.fromkeys(_of_scan(scan(data), topic(tool), at)))
    found = [value for _, value in spots(response) if comparable(value)]
    return tuple(Known(v, "", topic(tool), at) for v in found if len(str(v)) <= SHORT)


def taken(call: Call, at: int) -> Iterator[Known]:
    """The values that a call takes."""
    for place, value in parts(call.arguments):
        if comparable(value):
            field = place.rsplit(".", 1)[-1].removesuffix("[]")
            yield Known(value, field, topic(call.name), at, used=True)


def _of_scan(found: Scan, about: Name, at: int) -> Iterator[Known]:
    for entry in found.entries:
        # {"entities": [...], "relations": [...]} could be a collection; its keys may be names.
        first = name_stems(entry.path[0]) if entry.path else frozenset[str]()
        own = name_stems(entry.name) - GENERIC or about | (first - GENERIC)
        if entry.key is not None:
            yield Known(entry.key, entry.name, own, at, is_key=True)
        for name, value in entry.fields.items():
            yield Known(value, name or entry.name, own, at)
        for name, items in entry.lists.items():
            yield from (Known(item, name, own, at) for item in items)


def score(tool: str, parameter: str, value: Known) -> float:
    """How well the name of a value suits a parameter; 0 if it does not."""
    return _score(tool, parameter, value[1:3], value.is_key, value.used)


@lru_cache(maxsize=65_536)
def _score(tool: str, parameter: str, named: tuple[str, Name], is_key: bool, used: bool) -> float:
    field, about = named
    core, theirs = name_stems(parameter) - GENERIC, name_stems(field) - GENERIC
    near = 0.5 * bool(about & (topic(tool) | core)) - 0.25 * used
    whole, part = name_stems(parameter), name_stems(field)
    if whole and whole == part:
        # Things of every kind have a name and an id.
        return 3 + near if core or about & topic(tool) else 0.5
    if not is_id(parameter) and _other_part(parameter, field):
        return 0  # the type of a table is no table name
    if core and part and part <= whole <= part | about:
        return 3 + near  # a table name is the name of a table
    if not theirs and (not field or is_id(field)):
        theirs = about  # the name or the size of a patient is no patient
    # An id where a name is asked for: it is meant only if there are no names.
    aside = not core and (is_key or is_id(field)) and not is_id(parameter)
    core = core or topic(tool)
    if not core or not theirs or (is_key and not is_id(parameter) and core != theirs):
        return 0
    if core == theirs:
        return (1.5 if aside else 2.5) + near
    if core <= theirs or theirs <= core:
        return 1.5 + near
    return 0.75 + near if core & theirs else 0


def _other_part(parameter: str, field: str) -> bool:
    """Whether both say which part of a thing is meant, and it is another one."""
    one, other = name_stems(parameter) & GENERIC, name_stems(field) & GENERIC
    return bool(one and other and not one & other)


def is_id(parameter: str) -> bool:
    """Whether a parameter names a thing by its key."""
    words = [word.lower() for word in WORD.findall(parameter)]
    return bool(words) and words[-1] in ("id", "ids", "key", "code", "uuid", "slug", "handle")


Pool = Mapping[tuple[Any, ...], list[Known]]
"""Values by all that their names say."""


def pool(values: Iterable[Known]) -> Pool:
    """The values, put together by their names, in their order."""
    found: dict[tuple[Any, ...], list[Known]] = {}
    for value in values:
        found.setdefault((value.field, value.about, value.is_key, value.used), []).append(value)
    return found


@lru_cache(maxsize=64)
def held_pool(state: State) -> Pool:
    """The values of a state."""
    return pool(held(state))


def suiting(tool: str, parameter: str, schema: Mapping[str, Any], known: Pool) -> list[Known]:
    """The values that suit a parameter best, each once."""
    scores = {key: score(tool, parameter, group[0]) for key, group in known.items()}
    fitting = {
        key: found
        for key, points in scores.items()
        if points > 0 and (found := [v for v in known[key] if fits(v.value, schema)])
    }
    least = max((scores[key] for key in fitting), default=0) - CLOSE
    best = [v for key, found in fitting.items() if scores[key] >= least for v in found]
    return list({repr(v.value): v for v in best}.values())


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a scalar is of the type of a schema; keys of the data are texts."""
    match schema.get("type"):
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) or (isinstance(value, str) and value.isdecimal())
        case "number":
            return isinstance(value, int | float)
        case None:
            return True
    return False


def as_type(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value as a schema wants it: the key "12" as the number 12."""
    is_number = schema.get("type") == "integer" and isinstance(value, str)
    return int(value) if is_number else value


def inner(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """For several options the first that is not null."""
    options = [o for o in schema.get("anyOf", ()) if o.get("type") != "null"]
    if not options:
        return schema
    return {"description": schema.get("description", ""), **inner(options[0])}


def scalar(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of the items of a list, with the list's document."""
    schema = inner(schema)
    if schema.get("type") != "array":
        return schema
    return {"description": schema.get("description", ""), **scalar(schema.get("items", {}))}


def takes(spec: ToolSpec, values: Sequence[Known], opened: Open = frozenset()) -> list[str]:
    """The parameters of a tool that some of these values suit.

    Args:
        opened: parameters that take any value, which are left out.
    """
    return [
        name
        for name, schema in spec.parameters.items()
        if not closed(schema)
        and (spec.name, name) not in opened
        and any(fits(v.value, scalar(schema)) and score(spec.name, name, v) > 1 for v in values)
    ]


def closed(schema: Mapping[str, Any]) -> bool:
    """Whether a parameter takes words of a closed set, or a truth value."""
    schema = scalar(schema)
    return bool(schema.get("enum")) or "const" in schema or schema.get("type") == "boolean"
