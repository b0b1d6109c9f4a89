"""Values that need not be said: how they can be pointed at where that is unambiguous."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from rods.grounding import says
from rods.provenance import Link, fields, find_links
from rods.synthesis.catalogue import Phrase, spaced
from rods.synthesis.draft import Executed
from rods.synthesis.speech import COMPACT, SPOKEN, Pointing, pick, short

Visible = Callable[[str], str]
Place = tuple[int, str]  # position of a call in the whole task, and its parameter


class References:
    """The words for values that stand in earlier responses or in what the user said.

    Args:
        phrases: the entry of each tool.
        whole: whether they stand in whole sentences.
    """

    def __init__(
        self, executed: Executed, phrases: Mapping[str, Phrase], whole: bool, rng: random.Random
    ) -> None:
        self._executed, self._phrases, self._whole, self._rng = executed, phrases, whole, rng
        self.pointing = SPOKEN if whole else COMPACT
        self._words: dict[Place, str] = {}

    def get(self, place: Place) -> str:
        """The words, or "" for a value that has to be said."""
        return self._words.get(place, "")

    def noun(self, tool: str, parameter: str) -> str:
        """What is pointed at: a file, where compact words have the file name."""
        noun = self._phrases[tool].noun(parameter)
        return short(noun) if self._whole else noun

    def add_responses(self, visible: Visible) -> None:
        """Point at what responses produced.

        Args:
            visible: what of a response the agent gets to see.
        """
        flat = [text for turn in self._executed.responses for text in turn]
        calls = [call for turn in self._executed.calls for call in turn]
        for link in find_links(calls, self._executed.responses):
            options = _pointers(flat[: link.consumer], link, visible, self.pointing)
            if options:
                produced = calls[link.producer].name
                noun = self.noun(produced, link.key) if self._whole else spaced(link.key)
                said = pick(options, self._rng).format(noun)
                self._words[link.consumer, link.parameter] = said

    def add_words(self, turns: frozenset[int]) -> None:
        """Point, in these turns, at what the user named last under the same noun before."""
        positions, last, found = count(), dict[str, Any](), dict[Place, str]()
        for index, calls in enumerate(self._executed.calls):
            named: dict[str, Any] = {}
            for call, position in zip(calls, positions, strict=False):
                for name, value in call.arguments.items():
                    if value is None or isinstance(value, bool | list | dict):
                        continue
                    noun, place = self.noun(call.name, name), (position, name)
                    fresh = noun not in named and place not in self._words
                    if index in turns and fresh and last.get(noun) == value:
                        found[place] = pick(self.pointing.same, self._rng).format(noun)
                    # Two of the same name in a turn: later it would be unclear which is meant.
                    named[noun] = value if named.get(noun, value) == value else None
            last |= named
        self._words |= found


def _pointers(
    responses: Sequence[str], link: Link, visible: Visible, pointing: Pointing
) -> Sequence[str]:
    """How one can point at a field of an earlier response; nothing where that would be unclear."""
    producer, key = link.producer, link.key
    seen = visible(responses[producer])
    value = dict(fields(responses[producer])).get(key)
    if value is None or not says(seen, str(value[1])):
        return ()
    if key not in seen and key.replace("_", " ") not in seen:
        return ()
    holders = [i for i, text in enumerate(responses) if any(k == key for k, _ in fields(text))]
    if holders[-1] == producer:
        return pointing.next if producer == len(responses) - 1 else pointing.last
    if len(holders) > 1 and holders[-2] == producer:
        return pointing.previous
    return ()
