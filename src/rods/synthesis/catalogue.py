"""For each tool its wordings, the kinds of its arguments, and its role.

Each of BFCL's tools has an entry in phrases.yaml; that of any other tool is made from its document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from rods.envs.bfcl_data import SIMULATORS
from rods.envs.lexicon import READING
from rods.files.reading import parse_yaml
from rods.task import ToolSpec

CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
SENTENCE = re.compile(r"(?<=[a-z)])\.(\s|$)|\n")


class Phrase(BaseModel):
    """One tool's entry.

    Attributes:
        role: whether the tool reads, writes, or changes the session, such as a login.
        say: compact wordings with a {slot} for each required parameter.
        also: the suffix for each optional parameter.
        tell: wordings for whole sentences.
        tell_also: the suffixes for whole sentences.
        instead: parameter -> its value as text -> wordings for whole sentences that say this value
            without a slot for it; they replace `tell`, or the suffix of an optional parameter.
        nouns: what a user calls each parameter.
        slots: the kind of value of each parameter.
        choices: all values of a parameter, if they are few.
        ranges: lowest and highest number of a parameter.
        needs: tools that must have succeeded before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["read", "write", "session"]
    say: tuple[str, ...]
    also: dict[str, str] = {}
    tell: tuple[str, ...] = ()
    tell_also: dict[str, str] = {}
    instead: dict[str, dict[str, tuple[str, ...]]] = {}
    nouns: dict[str, str] = {}
    slots: dict[str, str] = {}
    choices: dict[str, tuple[Any, ...]] = {}
    ranges: dict[str, tuple[float, float]] = {}
    needs: tuple[str, ...] = ()

    def noun(self, parameter: str) -> str:
        """What a user calls a parameter."""
        return self.nouns.get(parameter, spaced(parameter))


@cache
def phrases() -> dict[str, Phrase]:
    """The entries of BFCL's tools."""
    data = parse_yaml((files("rods.synthesis") / "phrases.yaml").read_text("utf-8"))
    data.pop("kinds")
    return {name: Phrase.model_validate(entry) for name, entry in data.items()}


def catalogue(tools: Mapping[str, ToolSpec]) -> dict[str, Phrase]:
    """The entry of each tool."""
    shipped = phrases()
    return {
        name: shipped[name] if tool.owner in SIMULATORS and name in shipped else described(tool)
        for name, tool in tools.items()
    }


def described(tool: ToolSpec) -> Phrase:
    """An entry from a tool's own document."""
    act = imperative(tool.description or spaced(tool.name))
    slots = {name: _kind(name, schema) for name, schema in tool.parameters.items()}
    choices = {n: tuple(c) for n, s in tool.parameters.items() if (c := _choices(s))}
    given = " and ".join(f"{spaced(name)} {{{name}}}" for name in tool.required)
    optional = [name for name in tool.parameters if name not in tool.required]
    joins = (" with ", " , with ", " for ") if given else ("",)
    return Phrase(
        role="read" if READING.match(tool.name) else "write",
        say=tuple(f"{act}{join}{given}" for join in joins),
        also={n: f"with {spaced(n)} {{{n}}}" for n in optional},
        tell=_sentences(act, tool.required),
        tell_also={n: f"with the {spaced(n)} set to {{{n}}}" for n in optional},
        instead={
            n: {"true": (f"with {spaced(n)}",), "false": (f"without {spaced(n)}",)}
            for n in optional
            if slots[n] == "flag"
        },
        slots=slots,
        choices=choices,
        ranges={n: r for n, s in tool.parameters.items() if (r := _range(s))},
    )


def _sentences(act: str, required: Sequence[str]) -> tuple[str, ...]:
    """Requests that name every required parameter, for any act and names."""
    act = act.partition(";")[0]
    if not required:
        return (act,)

    def joined(form: str) -> str:
        parts = [form.format(slot=f"{{{name}}}", noun=spaced(name)) for name in required]
        return " and ".join(p for p in (", ".join(parts[:-1]), parts[-1]) if p)

    return (
        f"{act} with {joined('the {noun} {slot}')}",
        f"{act}, taking {joined('{slot} as the {noun}')}",
        f"{act} using {joined('{slot} for the {noun}')}",
        f"{act}, where {joined('the {noun} should be {slot}')}",
    )


def imperative(description: str) -> str:
    """A description's first sentence as a request: "Books a room." -> "book a room"."""
    sentence = SENTENCE.split(description.strip(), maxsplit=1)[0].strip().rstrip(".")
    first, _, rest = sentence.partition(" ")
    verb = first.lower() if first[1:].islower() else first
    if verb.endswith("ies"):
        verb = verb[:-3] + "y"
    elif re.search(r"(ss|sh|ch|x|z)es$", verb):
        verb = verb[:-2]
    elif verb.endswith("s") and not verb.endswith(("ss", "us")):
        verb = verb[:-1]
    return f"{verb} {rest}".strip()


def spaced(name: str) -> str:
    """`orderId`, `order_id` -> "order id"."""
    return CAMEL.sub(" ", name).replace("_", " ").lower()


def _kind(name: str, schema: dict[str, Any]) -> str:
    """The kind of value. For a string without a special form it is the parameter's name."""
    schema = _inner(schema)
    if _choices(schema):
        return "choice"
    match schema.get("type"):
        case "boolean":
            return "flag"
        case "integer":
            return "count"
        case "number":
            return "number"
    text = f"{schema.get('format', '')} {schema.get('description', '')}"
    return "date" if re.search(r"\bdate\b|YYYY-MM-DD", text) else name


def _choices(schema: dict[str, Any]) -> list[Any]:
    schema = _inner(schema)
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _range(schema: dict[str, Any]) -> tuple[float, float] | None:
    schema = _inner(schema)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None and high is None:
        return None
    low = 1 if low is None else low
    return (low, max(low, low * 10 if high is None else high))


def _inner(schema: dict[str, Any]) -> dict[str, Any]:
    """For an array the schema of its items; for several options the first that is not null."""
    if schema.get("type") == "array":
        return _inner(schema.get("items", {}))
    options = [o for o in schema.get("anyOf", ()) if o.get("type") != "null"]
    return _inner(options[0]) if options else schema
