"""Which tools the words of a turn ask for, by the words that they share with the tools' documents.

A model that words the calls of a turn sometimes asks for something else: it repeats an earlier
request, or asks for what a neighbouring tool does. A tool's words are those of its name, its
description and its wordings (`catalogue`), and the words with which people ask for it in the seed
tasks. Each counts the more the fewer tools have it, from 0 to 1.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from rods.envs.lexicon import STOP, WORD, stem
from rods.synthesis.catalogue import Phrase, catalogue, imperative, spaced
from rods.task import Call, ToolSpec

# Words that any request may have.
COMMON = frozenset(
    re.findall(
        r"\w+",
        "i me my we us our he him his she her they them their who whom whose what which where when"
        " why how here there do does did done could would should may might must shall need want"
        " like let then now also next just some any all each one so too very more most after before"
        " once last thank thanks okay ok hi hello hey good great sure am were had but than these"
        " those such into over under about between out up off down again further same other another"
        " kindly",
    )
)
SLOT = re.compile(r"\{\w+\}")
ANOTHER, NOT_ASKED = "another tool", "a call is not asked for"
VAGUE = frozenset({"get"})  # stems of names that say nothing of a tool by themselves
NAMED = 0.2  # least that a call's own tool must have in the words
RIVAL = 0.65  # least of a tool that is not called, in words that no called tool has
SHARE = 0.5  # and its share of the called tool that has the least
STRONG = 1.2  # least of a tool that is not called, in one sentence
WEAKER = 0.6  # most that the called tools may have of it there
SENTENCE = re.compile(r"[.!?;]\s+|, and (?:then )?")
OWN = 0.25  # share of the requests with a word that ask for a tool, if the word is the tool's
FEW = 4  # words of a request; fewer may be an answer only: "notes, please"
TWICE = 2  # requests that must have a word, before it is a tool's
WORDS = 2  # words of a rival; one alone may be there by chance
NONE: frozenset[str] = frozenset()
SHOWN = 120  # characters of a document in a complaint


class AskedTools:
    """Compares the words of a turn with its calls.

    Args:
        requests: of people: words without values, and the names of the tools that they ask for.
    """

    def __init__(
        self, tools: Mapping[str, ToolSpec], requests: Iterable[tuple[str, Collection[str]]] = ()
    ) -> None:
        self._tools = tools
        phrases = catalogue(tools)
        written = {name: _words(tool, phrases[name]) for name, tool in tools.items()}
        said = _said_for(requests, written)
        self._words = {name: own | said.get(name, NONE) for name, own in written.items()}
        counts = Counter(word for words in self._words.values() for word in words)
        most = math.log(len(tools) + 1)
        self._weight = {w: math.log((len(tools) + 1) / n) / most for w, n in counts.items()}

    def fault(
        self, words: str, calls: Sequence[Call], classes: Collection[str]
    ) -> tuple[str, str] | None:
        """What is wrong: a name for it, and the complaint; None if nothing is found.

        Args:
            words: without the values of the calls.
            classes: those of the task; their other tools are what the words could ask for.
        """
        said = _stems([words])
        called = [call.name for call in calls if call.name in self._words]
        if not called:
            return None
        least = min(called, key=lambda name: self._sum(said & self._words[name]))
        own = self._sum(said & self._words[least])
        unexplained = said.difference(*(self._words[name] for name in called))
        rivals = {
            name: self._sum(unexplained & self._words[name])
            for name, tool in self._tools.items()
            if tool.owner in classes and name not in called
        }
        rival = max(rivals, key=lambda name: rivals[name], default="")
        if rival and rivals[rival] < max(RIVAL, SHARE * own):
            rival = ""
        if not rival:
            beaten = [name for name in rivals if self._beaten({*called}, name, said)]
            rival = max(beaten, key=lambda name: self._sum(said & self._words[name]), default="")
        if rival := rival or self._in_a_sentence(words, called, rivals):
            return ANOTHER, f"do not ask for this: {self._does(rival)}"
        if own < NAMED and len(said) >= FEW:
            return NOT_ASKED, f"ask also for this: {self._does(least)}"
        return None

    def _in_a_sentence(self, words: str, called: Sequence[str], others: Collection[str]) -> str:
        """Another tool that one sentence speaks for much more than for any called one, or that it
        names and says nothing of the called ones; or ""."""
        for sentence in SENTENCE.split(words):
            said = _stems([sentence])
            own = max(self._sum(said & self._words[name]) for name in called)
            silent = said.isdisjoint(NONE.union(*(self._words[c] for c in called)) - VAGUE)
            for name in others:
                spoken, whole = said & self._words[name], _stems([spaced(name)]) - VAGUE
                strong = len(spoken) >= WORDS and self._sum(spoken) >= max(STRONG, own / WEAKER)
                if strong or (silent and whole and whole <= said):
                    return name
        return ""

    def _beaten(self, called: Collection[str], rival: str, said: frozenset[str]) -> bool:
        """Whether words speak for a rival at least as much as for any called tool, and either have
        no word that only the one called tool has, or name the rival by its whole name, and none of
        the called ones."""
        own = [said & self._words[name] for name in called]
        other = said & self._words[rival]
        ahead = self._sum(other) - max(self._sum(words) for words in own)
        if ahead < 0 or len(other) < WORDS:
            return False
        if len(own) == 1 and own[0] <= other and ahead > 0:
            return True
        whole = _stems([spaced(rival)])
        named = any(_stems([spaced(name)]) <= said for name in called)
        return len(whole) > 1 and whole <= said and not named

    def _sum(self, words: Iterable[str]) -> float:
        return sum(self._weight[word] for word in sorted(words))

    def _does(self, name: str) -> str:
        tool = self._tools[name]
        return imperative(tool.description or spaced(name))[:SHOWN]


def _words(tool: ToolSpec, phrase: Phrase) -> frozenset[str]:
    """Stems of a tool's name, its description and its wordings."""
    instead = (said for values in phrase.instead.values() for said in values.values())
    wordings = (
        *phrase.say, *phrase.tell, *phrase.also.values(), *phrase.tell_also.values(),
        *(words for said in instead for words in said),
    )  # fmt: skip
    return _stems([tool.name, tool.description, *(SLOT.sub(" ", text) for text in wordings)])


def _said_for(
    requests: Iterable[tuple[str, Collection[str]]], written: Mapping[str, frozenset[str]]
) -> dict[str, frozenset[str]]:
    """The stems with which people ask for a tool, by tool.

    Args:
        written: the stems of each tool's documents; they speak for no other tool of a request.
    """
    every, by_tool = Counter[str](), defaultdict[str, Counter[str]](Counter)
    for words, names in requests:
        found = _stems([words])
        every.update(found)
        for name in {*names}:
            others = NONE.union(*(written.get(other, NONE) for other in names if other != name))
            by_tool[name].update(found - others)
    return {
        name: frozenset(w for w, n in counts.items() if n >= max(TWICE, OWN * every[w]))
        for name, counts in by_tool.items()
    }


def _stems(texts: Iterable[str]) -> frozenset[str]:
    words = (word.lower() for text in texts for word in WORD.findall(text))
    return frozenset(
        stem(word)
        for word in words
        if len(word) > 1 and not word.isdigit() and word not in STOP and word not in COMMON
    )
