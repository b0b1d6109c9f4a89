"""A scripted model that does every role well enough to be admitted now and then.

It is a test double: it stands behind a real HTTP endpoint and sees nothing but the prompts. What it
answers is put together from the prompts' own words; there is no intelligence in it.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any

ROLES = {
    "You design test conversations": "plan",
    "You choose the arguments": "arguments",
    "A function failed": "patch",
    "You write what a person says": "query",
    "You complete what a person says": "add",
    "You check whether": "verify",
    "You write all queries": "rewrite",
    "You judge a test conversation": "judge",
    "A judge has rejected": "classify",
    "You mend what a person says": "refine",
}
PEOPLE = ("Asha", "Bram", "Chidi", "Dolores", "Emre", "Freya", "Goran", "Hana", "Ines", "Jonah")
AIMS = ("tidying up", "getting ready for a trip", "closing the quarter", "helping a neighbour")
ASIDES = ("if you would", "when you can", "as we discussed", "before lunch", "for the record")


def role_of(system: str) -> str:
    """Which role a prompt asks for."""
    return next((role for start, role in ROLES.items() if system.lstrip().startswith(start)), "")


def competent(system: str, user: str, rng: random.Random) -> dict[str, Any]:
    """A right answer, as far as the prompt's text allows one."""
    return globals()[f"_{role_of(system)}"](user, rng)


def _lines(user: str, label: str) -> list[str]:
    return re.findall(rf"^{label}: (.*)$", user, re.MULTILINE)


def _add(user: str, rng: random.Random) -> dict[str, Any]:
    return {"query": f"I mean {' and '.join(_lines(user, 'MISSING VALUES')[0].split(' | '))}."}


def _plan(user: str, rng: random.Random) -> dict[str, Any]:
    owners = dict(reversed(p) for p in re.findall(r"^(\w+): (\w+)\(", user, re.MULTILINE))
    part = user.split("ITS FUNCTIONS")[1].split("STRUCTURE TO KEEP")[0]
    turns = [line.split(", ") for line in re.findall(r"^turn \d+: (.*)$", part, re.MULTILINE)]
    planned = []
    for names in turns:
        owner = next((owners[n] for n in names if n in owners), "")
        same = [n for n in owners if owners[n] == owner] or list(owners)
        names = [n if n in owners else rng.choice(same) for n in names]
        if rng.random() < 0.2:  # another function now and then
            names[0] = rng.choice(same)
        planned.append(f"{owners[names[0]]}: {', '.join(names)}")
    story = f"{rng.choice(PEOPLE)} is {rng.choice(AIMS)}."
    return {"narrative": story, "turns": planned}


def _arguments(user: str, rng: random.Random) -> dict[str, Any]:
    (schema,) = _lines(user, "SCHEMA")
    wanted = json.loads(schema)
    arguments = {}
    for name in wanted["required"]:
        kind = wanted["properties"][name].get("type")
        given = _lines(user, f"VALUES THAT MAY SUIT {re.escape(name)}")
        values = [_value(text) for text in given[0].split(" | ")] if given else []
        values = values or [{"integer": rng.randint(1, 9), "number": 5.0}.get(kind, "plain notes")]
        value = rng.choice(values)
        arguments[name] = [value] if kind == "array" and not isinstance(value, list) else value
    return {"arguments": arguments}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _patch(user: str, rng: random.Random) -> dict[str, Any]:
    try:
        start = json.loads(_lines(user, "START STATE")[0])
    except ValueError:
        return {"patches": []}
    found = [
        {"class": owner, "field": field, "value": not value if value is False else value}
        for owner, fields in start.items()
        if isinstance(fields, dict)
        for field, value in fields.items()
        if isinstance(value, bool)
    ]
    return {"patches": found[:2]}


def _query(user: str, rng: random.Random) -> dict[str, Any]:
    return {"query": "; then ".join(_said(json.loads(call), rng) for call in _lines(user, "CALL"))}


def _said(call: dict[str, Any], rng: random.Random) -> str:
    act = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", call["name"]).replace("_", " ").lower()
    values = ", ".join(_spoken(value) for value in call["arguments"].values())
    return f"{act} {rng.choice(ASIDES)}" + (f", with {values} " if values else "")


def _spoken(value: Any) -> str:
    if isinstance(value, list):
        return " , ".join(map(_spoken, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _verify(user: str, rng: random.Random) -> dict[str, Any]:
    return {"verdict": "yes"}


def _rewrite(user: str, rng: random.Random) -> dict[str, Any]:
    before = re.findall(r"^TURN \d+, QUERY SO FAR: (.*)$", user, re.MULTILINE)
    story = (_lines(user, "STORY") or ["I need some help"])[0].rstrip(".")
    queries = [f"So, {rng.choice(ASIDES)}: {query}" for query in before]
    return {"queries": [f"{story}. {queries[0]}", *queries[1:]]}


def _judge(user: str, rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.8:
        return {"decision": "accept", "fail_reason": ""}
    return {"decision": "reject", "fail_reason": "turn 1 sounds stiff"}


def _classify(user: str, rng: random.Random) -> dict[str, Any]:
    kind = "query_fixable" if rng.random() < 0.7 else "gt_unfixable"
    return {"kind": kind, "turn": 1}


def _refine(user: str, rng: random.Random) -> dict[str, Any]:
    return {"answer": f"{_lines(user, 'WORDS')[0]} Thank you, {rng.choice(PEOPLE)}."}
