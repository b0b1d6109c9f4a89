"""Actionable hints on failed calls (the environment augmentation of EnvTuning, arXiv 2510.10197).

Departure from EnvTuning: there a model writes the hints for each tool beforehand. Here they are
computed, for any environment, from the tools' documents and the live state.

The ground truth is no input, and a hint names only values that the agent has seen: see
docs/hints.md.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from rods.envs.base import Observation, Session
from rods.envs.calls import misfit
from rods.envs.lexicon import GENERIC, Lexicon, stems, words
from rods.envs.livestate import LiveState, mentions
from rods.task import Call, ToolSpec

MAX_HINT = 300
MAX_DOC = 110
MAX_ERROR = 600
# Words of English error messages about the state of the tools, as opposed to a value.
PRECONDITION = re.compile(
    r"\b(before|please|currently|authenticated|log(ged)?[ -]?in|needs? to|must be \w+ed|"
    r"not (yet |been )?(start|initiali|connect|open|runn|ready|activ))",
    re.IGNORECASE,
)
ABSENT = re.compile(r"\b(no such|not found|does not exist|unknown|not in)\b", re.IGNORECASE)


class Hinter:
    """Makes hints for one environment; caches a lexicon for each set of tools."""

    def __init__(self) -> None:
        self._lexicons: dict[tuple[tuple[str, str], ...], Lexicon] = {}

    def hint(
        self,
        call: Call,
        observation: Observation,
        session: Session,
        offered: Mapping[str, ToolSpec],
        seen: str,
    ) -> str:
        """One line of at most 300 characters on a failed call; "" for any other. Never raises.

        Args:
            session: where it failed; only its state is read.
            offered: the tools on offer now; a hint never names another one.
            seen: all text that the agent was shown so far, without its own.
        """
        if observation.ok:
            return ""
        tool = offered.get(call.name)
        if tool is None:
            closest = _closest(call.name, offered)
            closest = closest and f"the closest is {closest}"
            return _line(["no such tool is on offer", closest])
        lexicon = self._lexicon(offered)
        parts = _form(call, tool, lexicon)
        if not parts:
            try:
                state = LiveState(session.state().data)
            except Exception:  # a hint must not end an episode
                state = LiveState(None)
            parts = _refusal(call, tool, lexicon, state, error_text(observation.text), seen)
        return _line(parts)

    def _lexicon(self, offered: Mapping[str, ToolSpec]) -> Lexicon:
        key = tuple((name, tool.owner) for name, tool in offered.items())
        if key not in self._lexicons:
            if len(self._lexicons) >= 256:
                self._lexicons.clear()
            self._lexicons[key] = Lexicon(offered)
        return self._lexicons[key]


def error_text(text: str) -> str:
    """The error message in a response: the "error" field of JSON, else the whole text; bounded."""
    if len(text) <= 20_000:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        first = found[0] if isinstance(found, list) and found else found
        if isinstance(first, dict) and "error" in first:
            return str(first["error"])[:MAX_ERROR]
    return text[:MAX_ERROR]


def _blamed(arguments: Mapping[str, JsonValue], error: str, state: LiveState) -> tuple[str, bool]:
    """The argument most likely at fault, or "" if unknown, and whether the error quotes its value.

    A quoted value counts most, then the argument's name in the message. Among equals, a string that
    is not in the live state comes first.
    """
    said = stems(error)
    best, choice, quoted = 0.0, "", False
    for name, value in arguments.items():
        quotes = _quotes(error, value)
        named = len((stems(name) - GENERIC) & said) / max(1, len(stems(name) - GENERIC))
        unknown = isinstance(value, str) and not state.holds(value)
        score = quotes + 2.0 * named + 0.5 * unknown
        if score > best:
            best, choice, quoted = score, name, quotes >= 2.0
    return choice, quoted


def _quotes(error: str, value: JsonValue) -> float:
    items = value[:20] if isinstance(value, list) else [value]
    found = 0.0
    for item in items:
        if isinstance(item, str) and item and mentions(error, item[:MAX_ERROR]):
            found = max(found, 4.0 if len(item) >= 3 else 2.0)
        elif isinstance(item, int | float) and not isinstance(item, bool) and abs(item) < 10**18:
            # Small numbers appear in many messages by chance, for example as bounds.
            near = mentions(error, str(item))
            found = max(found, near * (3.0 if abs(item) > 10 else 1.0))
    return found


def _form(call: Call, tool: ToolSpec, lexicon: Lexicon) -> list[str]:
    """What is wrong with the call by its schema alone."""
    missing = [n for n in tool.required if n not in call.arguments]
    for name in call.arguments:
        if name not in tool.parameters:
            if not tool.parameters:
                return [f"{tool.name} takes no arguments"]
            free = [n for n in tool.parameters if n not in call.arguments]
            closest = _closest(name, free) or (missing or [""])[0]
            meant = f"; did you mean {closest}?" if closest else ""
            return [
                f"one argument is unknown{meant}",
                f"{tool.name} takes {', '.join(tool.parameters)}",
            ]
    if missing:
        return [f"{missing[0]} is missing", *_valid(missing[0], tool, lexicon)]
    for name, value in call.arguments.items():
        wrong = misfit(value, tool.parameters[name])
        if wrong:
            return [f"{name} {wrong}", *_valid(name, tool, lexicon)]
    return []


def _refusal(
    call: Call, tool: ToolSpec, lexicon: Lexicon, state: LiveState, error: str, seen: str
) -> list[str]:
    """Parts for a well-formed call that the tool refused, because of a value or of the state."""
    name, quoted = _blamed(call.arguments, error, state)
    if not quoted and (PRECONDITION.search(error) or not name):
        first = lexicon.enabling(stems(error) - stems(tool.name), tool.owner, tool.name)
        if first:
            needs = ", ".join(lexicon.tools[first[0]].required)
            return [f"call {first[0]} first" + (f" (it takes {needs})" if needs else "")]
    if not name:
        if len(call.arguments) != 1:
            return [f"check the values of {', '.join(call.arguments)}"] if call.arguments else []
        name = next(iter(call.arguments))
    parts = [f"check {name}"]
    value = call.arguments[name]
    if quoted and isinstance(value, str) and ABSENT.search(error):
        known = state.holds(value)
        parts.append(
            "it exists, but not where this tool looks" if known else "no such thing exists"
        )
    closest = state.closest(value, seen) if isinstance(value, str) else ""
    if closest:
        parts.append(f"the closest known value is {closest!r}")
    place = state.collection(name, {t.owner for t in lexicon.tools.values()})
    if place and words(place) <= lexicon.vocabulary:
        parts.append(f"known values are in {place}")
    return parts + _valid(name, tool, lexicon)


def _valid(name: str, tool: ToolSpec, lexicon: Lexicon) -> list[str]:
    """What an argument may be by its document, and which tools return such values."""
    schema = tool.parameters[name]
    about = " ".join(str(schema.get("description", "")).split())
    parts = []
    if not ("enum" in schema or "[Enum]" in about):
        # A shared description identifies a name, but does not show which number is meant.
        alike = about if schema.get("type") == "string" else ""
        givers = lexicon.providers(name, alike, tool.owner, tool.name)[:2]
        parts += [f"see the response of {' or '.join(givers)}"] if givers else []
    if len(about) > MAX_DOC:
        # In long descriptions the choices are at the end.
        at = about.find("[Enum]") if "[Enum]" in about else 0
        about = about[at : at + MAX_DOC].rsplit(" ", 1)[0] + " ..."
    parts.append(f"it is {schema.get('type', 'a value')}" + (f": {about}" if about else ""))
    if "default" in schema:
        parts.append(f"default {schema['default']!r}")
    return parts


def _closest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name[:80], list(known), n=1, cutoff=0.5)
    return near[0] if near else ""


def _line(parts: list[str]) -> str:
    """The parts on one line, in order of importance, without those that do not fit."""
    line = ""
    for part in parts:
        part = "".join(c if c.isprintable() else " " for c in part).strip()
        longer = f"{line}; {part}" if line else part
        if part and len(longer) <= MAX_HINT:
            line = longer
    return line
