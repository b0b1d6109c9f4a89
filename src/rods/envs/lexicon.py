"""Which tools a text is about, by the word stems that it shares with their documents.

A few English suffixes are enough here: the texts are a tool's name, its description and an error
message of one line, and a wrong guess only gives a useless hint.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise

from rods.task import ToolSpec

MAX_TEXT = 600
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
STOP = frozenset(
    re.findall(
        r"\w+",
        "a an the of to in on at by for from with and or not no is are was be been has have this"
        " that it its as if when will can cannot you your please any all error tool current",
    )
)
READING = re.compile(
    r"(get|list|show|view|display|find|search|check|estimate|read|compute)(?![a-z])"
)
GENERIC = frozenset({"id", "nam", "valu", "number", "typ", "list", "data", "result", "status"})
# Everyday words that mean about the same, one group a line.
ALIKE = (
    "compare, comparison, contrast, juxtapose, difference, diff",
    "average, mean",
    "distance, how far",
    "invoice, bill",
    "watchlist, monitor",
    "support, customer service, helpdesk",
    "login, log in, sign in",
    "directory, folder",
    "calculate, compute, work out",
)
SUFFIXES = ("ations", "ation", "ings", "ing", "ions", "ion", "ies", "ed", "es", "s", "e", "y")


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """The word without an ending: "authenticated" and "authentication" give the same."""
    for suffix in SUFFIXES:
        rest = word.removesuffix(suffix)
        if rest != word and len(rest) >= 3 and not word.endswith("ss"):
            rest += "at" if suffix.startswith("ation") else ""
            return rest[:-1] if len(rest) > 3 and rest[-1] == rest[-2] != "s" else rest
    return word


@lru_cache(maxsize=8192)
def stems(text: str) -> frozenset[str]:
    """Stems of the first words of a text, and of joined neighbours ("log in" is also "login")."""
    found = [stem(word.lower()) for word in WORD.findall(text[:MAX_TEXT])]
    pairs = (a + b for a, b in pairwise(found))
    return frozenset(w for w in found if w not in STOP).union(pairs)


@lru_cache(maxsize=1)
def _groups() -> tuple[frozenset[str], ...]:
    """`ALIKE` as stems; the stems of a phrase are joined, as in `stems`."""
    phrases = (group.split(", ") for group in ALIKE)
    return tuple(frozenset("".join(map(stem, p.split())) for p in group) for group in phrases)


def alike(said: frozenset[str]) -> frozenset[str]:
    """Stems of other words that mean about the same as some of these stems."""
    return frozenset[str]().union(*(group for group in _groups() if group & said))


def words(text: str) -> frozenset[str]:
    """The words themselves, in lower case."""
    return frozenset(word.lower() for word in WORD.findall(text[:MAX_TEXT]))


class Lexicon:
    """The documents of some tools, with weights by how rare a word is among them."""

    def __init__(self, tools: Mapping[str, ToolSpec]) -> None:
        self.tools = dict(tools)  # a copy: the tools on offer may grow later
        self._name = {n: stems(n) for n in tools}
        self._about = {n: stems(t.description) for n, t in tools.items()}
        self.vocabulary = frozenset[str]().union(
            *(
                words(text)
                for t in tools.values()
                for text in (t.name, t.description, *t.parameters, *t.returns, *t.returns.values())
            )
        )
        counts = Counter(w for n in tools for w in self._name[n] | self._about[n])
        self._weight = {w: math.log((len(tools) + 1) / c) for w, c in counts.items()}

    def enabling(self, topic: Iterable[str], near: str = "", without: str = "") -> list[str]:
        """Tools that share stems with `topic`, best first, without those that only read.

        Args:
            topic: stems of the message that says what is missing.
            near: an owner whose tools are preferred.
            without: a tool to leave out.
        """
        topic = frozenset(topic)
        scores = {}
        for name, tool in self.tools.items():
            in_name = topic & self._name[name]
            score = 2 * self._sum(in_name) + self._sum(topic & (self._about[name] - in_name))
            if score > 0 and name != without and not READING.match(name):
                # A short name of which all words match beats a long one of which some do.
                share = len(in_name) / max(1, len(self._name[name]))
                scores[name] = score * (0.5 + share) * (1.5 if tool.owner == near else 1.0)
        return sorted(scores, key=lambda n: (-scores[n], n))

    @lru_cache(maxsize=4096)  # noqa: B019 - a run has few lexicons, and they live as long as the run
    def providers(
        self, argument: str, about: str = "", near: str = "", without: str = ""
    ) -> list[str]:
        """Tools whose response document has a field that could be this argument, best first.

        Args:
            about: the argument's description; if given, fields with a similar description count
                as well.
            near: the argument's owner; a field of another owner must have the argument's name.
            without: a tool to leave out.
        """
        name, topic = stems(argument), stems(about) and stems(argument) | stems(about)
        scores = {}
        for tool in self.tools.values():
            best, foreign = 0.0, bool(near) and tool.owner != near
            for field, text in tool.returns.items():
                full = stems(field) | stems(tool.name)
                if field.lower() == argument.lower():
                    score = 9.0 if not foreign or len(name) > 1 else 0.0
                elif foreign:  # other systems have other users, names and amounts
                    score = 0.0
                elif name & stems(field) and name <= full | GENERIC and name - GENERIC:
                    score = 6.0
                else:
                    score = 0.4 * len((topic - GENERIC) & (full | stems(text)))
                best = max(best, score)
            if best >= 1.2 and tool.name != without:
                # A tool that needs few arguments is more useful than one that needs many.
                best -= 0.5 * len(tool.required) + 3.0 * (argument in tool.parameters)
                scores[tool.name] = best - 0.5 * foreign
        return [n for n in sorted(scores, key=lambda n: (-scores[n], n)) if scores[n] > 0]

    def _sum(self, found: Iterable[str]) -> float:
        return sum(self._weight[w] for w in sorted(found) if w in self._weight)
