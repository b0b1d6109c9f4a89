"""Whether words are in the language of the seed tasks, by their letters and commonest words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

COMMON = 150  # commonest words of the seed tasks
MIN_WORDS = 5  # of a text whose language is judged by its words
MOST_NEEDED = 0.15  # share of these words that a text must have at most
MOST_STRANGE = 0.5  # share of letters of scripts that the seed tasks do not have
LETTERS = re.compile(r"[^\W\d_]+")


class Language:
    """The letters and the commonest words of texts, which are compared with those of others."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = Counter(w for text in texts for w in LETTERS.findall(text.lower()))
        self._scripts = Counter(s for word, n in counts.items() for s in _scripts(word) * n)
        self._common = {word for word, _ in counts.most_common(COMMON)}
        own = sorted(share for text in texts if (share := self._share(text)) is not None)
        # Half of what nearly all of these texts have; 0 where no spaces separate the words.
        self._least = min(MOST_NEEDED, own[len(own) // 50] / 2) if own else 0.0

    def strange(self, text: str) -> bool:
        """Whether a text is in another language; none is if there are no texts to compare with."""
        if not self._scripts:
            return False
        letters = Counter(s for word in LETTERS.findall(text) for s in _scripts(word))
        unknown = sum(n for script, n in letters.items() if not self._scripts[script])
        if unknown > MOST_STRANGE * sum(letters.values()):
            return True
        share = self._share(text)
        return share is not None and share < self._least

    def _share(self, text: str) -> float | None:
        """The share of common words; None for a short text."""
        words = LETTERS.findall(text.lower())
        if len(words) < MIN_WORDS:
            return None
        return sum(word in self._common for word in words) / len(words)


def _scripts(word: str) -> list[str]:
    """The script of each letter, such as LATIN."""
    return [unicodedata.name(letter, "").split(" ")[0] for letter in word]
