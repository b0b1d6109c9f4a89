"""Actionable hints on failed calls (the environment augmentation of EnvTuning, arXiv 2510.10197).

EnvTuning writes its hints per tool with a model beforehand; here they are drawn, for any
environment, from the tools' documents and the live state. The ground truth is no input, and no
value is named that the agent has not been shown: see docs/hints.md.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from rods.envs.base import Observation, Session
from rods.envs.blame import ABSENT, PRECONDITION, blamed, error_text, misfit
from rods.envs.lexicon import Lexicon, stems, words
from rods.envs.livestate import LiveState
from rods.task import Call, ToolSpec

MAX_HINT = 300
MAX_DOC = 110


class Hinter:
    """Makes hints for one environment; holds the lexicons of the tool sets that it met."""

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
            offered: the tools on offer now; no other is ever named.
            seen: all text that the agent was shown so far, its own words left out.
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
            except Exception:  # a hint may not end an episode that goes on without it
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
    """The call is well formed and the tool refused it: for a value, or for the world's state."""
    name, quoted = blamed(call.arguments, error, state)
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
    """What an argument may be by its document, and which tools give such values."""
    schema = tool.parameters[name]
    about = " ".join(str(schema.get("description", "")).split())
    parts = []
    if not ("enum" in schema or "[Enum]" in about):
        # A description alone tells where a name may stand, but not which number is meant.
        alike = about if schema.get("type") == "string" else ""
        givers = lexicon.providers(name, alike, tool.owner, tool.name)[:2]
        parts += [f"see the response of {' or '.join(givers)}"] if givers else []
    if len(about) > MAX_DOC:
        # Choices stand at the end of long descriptions.
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
    """Parts in order of weight; those that do not fit are left out, and all on one line."""
    line = ""
    for part in parts:
        part = "".join(c if c.isprintable() else " " for c in part).strip()
        longer = f"{line}; {part}" if line else part
        if part and len(longer) <= MAX_HINT:
            line = longer
    return line
