"""Checks of a model's words by code, before any further question to the model.

The gates check a whole task at its end. These checks find the commonest faults of one turn's words
while they can still be written anew, and their complaint is shown to the model.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rods.grounding import choices, says, spellings, stated
from rods.provenance import Source, leaves
from rods.synthesis.catalogue import spaced
from rods.synthesis.llm.asked_tools import ANOTHER, NOT_ASKED, AskedTools
from rods.synthesis.llm.language import LETTERS, Language
from rods.synthesis.llm.refusals import Complaint, Refusal
from rods.synthesis.meaning.data import STATE_NAMES, scan
from rods.synthesis.meaning.references import ambiguous_references
from rods.synthesis.meaning.trace import Draft
from rods.synthesis.near import jaccard, text_shingles
from rods.synthesis.stages import Executed
from rods.synthesis.word_gates import CODE_NAME, SCAFFOLDING
from rods.task import Call, Task, ToolSpec, Turn

CALLED = re.compile(r"\w\(\s*\w+\s*=|\w\(\s*[\"'\[{]|\{\s*[\"']\w+[\"']\s*:")
"""A call with arguments in brackets, or an object with a key."""
MISSING, NO_VALUE = "a value is missing", "a value of no call"
COPY = 0.7  # least similarity of the words of a copy of the parent's or of earlier words
MIN_COPY = 6  # words; shorter requests are alike without being copied
ENGLISH = "Could you please find out what is in it for me, and then tell me when you are done?"
ASKED_BACK = "(?:provide|specify|enter|supply|verify|give me|tell me|send me|i need)"
LITERAL = re.compile(r"[\"\u201c]([^\"\u201c\u201d]{2,200})[\"\u201d]|([#@/]?\w(?:[./:@-]?\w)*)")
"""A text in quotation marks, or a word."""
NAME = re.compile(r"[^\W\d_a-z][\w.-]*")  # one word with a capital
REQUEST = "please|can you|could you|would you|will you|i need|i want|i would|i'd"
MIN_OTHER = 3  # letters of another value, which may be a common word
REPEATED = 5  # words in a row that words and a complaint may not both have
COUNT = re.compile(r"\d{1,2}(?:st|nd|rd|th|[ap]m)?", re.IGNORECASE)
"""A number that may count things, as in "the 2 files", or be part of a date."""


class WordCheck:
    """Checks words against their calls, the tools, and the seed tasks' own words.

    Args:
        seeds: their words show the language that is spoken.
    """

    def __init__(self, tools: Mapping[str, ToolSpec], seeds: Sequence[Task]) -> None:
        self._tools = tools
        names = {n for tool in tools.values() for n in (tool.name, *tool.parameters)}
        self._coded = {name for name in names if CODE_NAME.search(name)}
        tool_names = "|".join(re.escape(name) for name in sorted(tools, key=len, reverse=True))
        self._tool = re.compile(rf"\b(?:{tool_names or '(?!)'})\(")
        requests = (turn for task in seeds for turn in task.turns if turn.ground_truth)
        self._asked = AskedTools(
            tools,
            (
                (_without_values(t.user, t.ground_truth), {c.name for c in t.ground_truth})
                for t in requests
            ),
        )
        self._values = defaultdict[tuple[str, str], set[str]](set)
        for call in (call for task in seeds for call in task.calls):
            for name, value in call.arguments.items():
                self._values[call.name, name] |= {v for v in leaves(value) if isinstance(v, str)}
        for tool in tools.values():
            for name, schema in tool.parameters.items():
                listed = (value for value in choices(schema) if isinstance(value, str))
                self._values[tool.name, name].update(listed)
        self._language = Language([turn.user for task in seeds for turn in task.turns])

    @property
    def english(self) -> bool:
        """Whether the seed tasks are in the language of the prompts."""
        return not self._language.strange(ENGLISH)

    def complaint(
        self, words: str, executed: Executed, index: int, before: Sequence[str]
    ) -> Complaint | None:
        """The first fault of a turn's words; None if there is none.

        Args:
            before: the words of the earlier turns.
        """
        calls = executed.calls[index]
        free = _without_values(words, calls)
        if not words.strip():
            return Complaint("no words", "the query is empty")
        if found := self.of_code(words, calls):
            return found
        if not LETTERS.search(free):
            return Complaint("no request", "say what is wanted; these are values only")
        if name := _addressed(words, calls):
            return Complaint("a value is addressed", f"speak to the assistant, not to {name!r}")
        if self._language.strange(free):
            return Complaint("another language", "write in the language of the conversation")
        if _copies(free, executed.plan.said, calls):
            return Complaint("the parent's words", "this is said in the given conversation already")
        known = [call for turn in executed.calls[: index + 1] for call in turn]
        if _copies(_without_values(words, known), before, known):
            return Complaint("said before", "this was said before and is done; ask for the calls")
        if missing := self.missing(words, executed, index, before):
            shown = ", ".join(to_say(name, call.arguments[name]) for call, name in missing)
            return Complaint(MISSING, f"say also {shown}")
        if noun := _asked_back(words, calls):
            why = f"the person knows the {noun} and does not ask for it; say that it is as before"
            return Complaint("a value is asked for", why)
        if found := self._no_value(free, words, executed, index):
            return found
        if fault := self._asked.fault(free, calls, executed.plan.classes):
            return Complaint(*fault)
        return None

    def of_answer(self, words: str, executed: Executed, index: int) -> Complaint | None:
        """The first fault of words that only supply a value for a turn's calls."""
        calls = executed.calls[index]
        free = _without_values(words, calls)
        if found := self.of_code(words, calls):
            return found
        if found := self._no_value(free, words, executed, index):
            return found
        for name in sorted({spaced(name) for call in calls for name in call.arguments}):
            free = re.sub(rf"\b{re.escape(name)}\b", " ", free, flags=re.IGNORECASE)
        fault = self._asked.fault(free, calls, executed.plan.classes)
        return Complaint(*fault) if fault and fault[0] == ANOTHER else None

    def of_code(self, words: str, calls: Sequence[Call]) -> Complaint | None:
        """What words contain of code or of a prompt; None if nothing."""
        free = _without_values(words, calls)
        if found := self._tool.search(free) or CALLED.search(free):
            part = free[max(0, found.start() - 20) : found.end() + 20].strip()
            return Complaint("code in the words", f"write no code such as {part!r}")
        spoken = {word.strip("_") for word in re.findall(r"\w+", free)}
        if names := sorted(spoken & self._coded):
            return Complaint("a name from the code", f"write no name such as {names[0]!r}")
        if found := SCAFFOLDING.search(free):
            return Complaint("words about the prompt", f"do not write {found[0]!r}")
        return None

    def values_to_say(self, executed: Executed, index: int, before: Sequence[str]) -> list[str]:
        """The values of a turn's calls that are not known yet, and shown ones of which there are
        several, as a person would say them. Words may also single out one of several.

        Args:
            before: the words of the earlier turns.
        """
        missing = (
            leaf
            for call, name in self.missing("", executed, index, before)
            for leaf in leaves(call.arguments[name])
        )
        said = (str(leaf) for leaf in missing if leaf is not None and not isinstance(leaf, bool))
        return list(dict.fromkeys(said))

    def missing(
        self, words: str, executed: Executed, index: int, before: Sequence[str]
    ) -> list[tuple[Call, str]]:
        """The arguments of a turn's calls that the words must state: call and parameter.

        They are neither said nor shown, or what was shown has others that the words could mean.
        """
        plan, calls = executed.plan, executed.calls[: index + 1]
        said = zip([*before, words], calls, strict=True)
        turns = tuple(Turn(user=text, ground_truth=row) for text, row in said)
        task = Task(category=plan.category, classes=plan.classes, start={}, turns=turns)
        draft = Draft(task, self._tools, executed.responses[: index + 1])
        unclear = {(r.position, r.parameter) for r in ambiguous_references(draft)}
        first = len(draft.calls) - len(calls[-1])
        return [
            (call, name)
            for position, call in enumerate(calls[-1], first)
            for name, source in draft.sources[position].items()
            if source is Source.NOWHERE or (position, name) in unclear
        ]

    def _no_value(self, free: str, words: str, executed: Executed, index: int) -> Complaint | None:
        """What words say though no call takes it: a text in quotation marks, a number, another
        value of a parameter than the one that they refer to, or a distorted one; None if nothing.

        Other values are those of the tool's document, of the seed tasks, and those in the same
        place of other records of the start state.
        """
        calls = executed.calls[index]
        found = _no_literal(free, calls)
        taken = {text for turn in executed.calls[: index + 1] for c in turn for text in _texts(c)}
        state: list[tuple[tuple[Any, ...], str]] | None = None
        for call, name, leaf in _each_text(calls):
            schema = self._tools[call.name].parameters.get(name, {})
            if found or stated(leaf, words, name, schema):
                continue
            state = _placed(executed.start) if state is None else state
            kinds = {kind for kind, text in state if text == leaf}
            others = {text for kind, text in state if kind in kinds}
            others |= self._values.get((call.name, name), set())
            found = _other_value(free, leaf, others - taken)
        return Complaint(NO_VALUE, f"do not say {found!r}; no call takes it") if found else None


def _texts(call: Call) -> list[str]:
    return [leaf for leaf in leaves(call.arguments) if isinstance(leaf, str)]


def _each_text(calls: Sequence[Call]) -> Iterator[tuple[Call, str, str]]:
    """Each text of the calls with its call and parameter."""
    for call in calls:
        for name, value in call.arguments.items():
            yield from ((call, name, leaf) for leaf in leaves(value) if isinstance(leaf, str))


def _placed(start: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    """The texts of a start state, each with its place, which other records have as well."""
    entries = scan(start, STATE_NAMES).entries
    return [
        ((entry.pattern, name), value)
        for entry in entries
        for name, value in entry.values()
        if isinstance(value, str)
    ]


def _other_value(free: str, value: str, others: Iterable[str]) -> str:
    """One of the other values, or the value with something added to it, that words have; or ""."""
    said = (text for text in sorted(others) if len(text) >= MIN_OTHER and says(free, text))
    if (other := next(said, None)) is not None:
        return other
    # A common word may be inflected: "checkups", "engaged", "opening", "temporary".
    is_name = re.search(r"[A-Z\d_]", value) is not None
    if len(value) < MIN_OTHER + (not is_name):
        return ""
    more = r"(?!s\b)\w+" if is_name else r"(?:_\w*|\w*\d\w*|[a-ce-qt-xz])"
    found = re.search(rf"(?<!\w){re.escape(value)}{more}(?!\w)", free)
    return found[0] if found else ""


def _without_values(words: str, calls: Sequence[Call]) -> str:
    """Words without the calls' values, which may be anything."""
    found = (leaf for call in calls for leaf in leaves(call.arguments))
    values = {text for leaf in found for text in (str(leaf), *spellings(leaf))}
    for value in sorted(filter(None, values), key=lambda text: (-len(text), text)):
        words = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", " ", words)
    return words


def to_say(name: str, value: Any) -> str:
    """A missing value with its parameter; for a flag, the word that says it."""
    if isinstance(value, bool):
        return f"{spaced(name)!r}" if value else f"the opposite of {spaced(name)!r}"
    return f"{value!r} ({spaced(name)})"


def _no_literal(free: str, calls: Sequence[Call]) -> str:
    """A text in quotation marks or a number in words without the calls' values; "" if none."""
    leafs = (str(leaf) for call in calls for leaf in leaves(call.arguments))
    names = (spaced(name) for call in calls for name in call.arguments)
    # Such as the year of "November 15th 2026" for 2026-11-15, or "file name1".
    parts = {*re.findall(r"\w+", " ".join([*leafs, *names]))}
    for text, word in LITERAL.findall(free):
        is_number = re.search(r"[\d_]", word) and not COUNT.fullmatch(word)
        if text.strip() or (is_number and not parts.issuperset(re.findall(r"\w+", word))):
            return str(text or word)
    return ""


def repeats(words: str, refusal: Refusal, calls: Sequence[Call]) -> bool:
    """Whether words repeat a complaint or a part of it, the values of the calls aside.

    A complaint that names what is to be said may be repeated in part.
    """
    if jaccard(text_shingles(words), text_shingles(refusal.complaint)) >= COPY:
        return True
    if refusal.why in (MISSING, NOT_ASKED):
        return False
    said, runs = (_runs(_without_values(text, calls)) for text in (words, refusal.complaint))
    return not said.isdisjoint(runs)


def _runs(text: str) -> set[tuple[str, ...]]:
    """Each sequence of so many words."""
    found = re.findall(r"\w+", text.lower())
    return {tuple(found[i : i + REPEATED]) for i in range(len(found) - REPEATED + 1)}


def _addressed(words: str, calls: Sequence[Call]) -> str:
    """The text value that words speak to, as in "Rex, please look up his owner"; or ""."""
    for value in (leaf for call in calls for leaf in leaves(call.arguments)):
        if isinstance(value, str) and NAME.fullmatch(value):
            spoken_to = rf"(?:^|[.!?]\s+){re.escape(value)}, (?:{REQUEST}) \w"
            if re.search(spoken_to, words, re.IGNORECASE):
                return value
    return ""


def _asked_back(words: str, calls: Sequence[Call]) -> str:
    """The parameter that words ask the assistant for, though the calls have its value; or ""."""
    for call in calls:
        for name, value in call.arguments.items():
            noun = spaced(name)
            said = any(stated(leaf, words) for leaf in leaves(value))
            asked = rf"\b{ASKED_BACK}(?: (?!with|using|for|of|by|from)\w+,?){{0,4}} {noun}\b"
            if " " in noun and not said and re.search(asked, words, re.IGNORECASE):
                return noun
    return ""


def _copies(free: str, said: Sequence[str], calls: Sequence[Call]) -> bool:
    if len(LETTERS.findall(free)) < MIN_COPY:
        return False
    own = text_shingles(free)
    return any(jaccard(own, text_shingles(_without_values(s, calls))) >= COPY for s in said)
