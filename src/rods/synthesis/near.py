"""Near-copies: tasks with almost the same words or almost the same calls.

Texts are compared by their sequences of three words. MinHash finds the candidates among many tasks,
and each is then compared exactly, so a hash collision never refuses a task. A library for this
would bring numpy and scipy into the core.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b

from rods.task import Task

TEXT = 0.7  # least Jaccard similarity of the texts of near-copies
CALLS = 0.75  # least Jaccard similarity of their calls with arguments
MIN_CALLS = 2  # least calls with arguments for a comparison of calls
BANDS, ROWS = 10, 3  # finds 98 % of pairs at 0.7 and nearly all above
NOTHING: frozenset[int] = frozenset()
WORD = re.compile(r"\w+")
# Each gives another order of the hashes, since exclusive or is a bijection.
ORDERS = [int.from_bytes(blake2b(bytes([i]), digest_size=8).digest()) for i in range(BANDS * ROWS)]


class NearIndex:
    """Tasks by their words and calls."""

    def __init__(self) -> None:
        self._texts: dict[str, frozenset[int]] = {}
        self._calls: dict[str, frozenset[int]] = {}
        self._bands: dict[tuple[int, ...], list[str]] = defaultdict(list)
        self._by_call: dict[int, list[str]] = defaultdict(list)
        self._tabled: set[str] = set()  # ids in the tables by hash, from which none is removed

    def add(self, task: Task) -> None:
        if task.id in self._texts:
            return
        text, calls, bands = _marks(task)
        self._texts[task.id], self._calls[task.id] = text, calls
        if task.id in self._tabled:
            return
        self._tabled.add(task.id)
        for band in bands:
            self._bands[band].append(task.id)
        if len(calls) >= MIN_CALLS:
            for mark in calls:
                self._by_call[mark].append(task.id)

    def remove(self, task_id: str) -> None:
        """Remove a task. Its id remains in the tables by hash, where `near` skips it."""
        self._texts.pop(task_id, None)
        self._calls.pop(task_id, None)

    def near(self, task: Task) -> str:
        """The id of some task that this one is a near-copy of, or ""."""
        text, calls, bands = _marks(task)
        for candidate in {i for band in bands for i in self._bands.get(band, ())}:
            if jaccard(text, self._texts.get(candidate, NOTHING)) >= TEXT:
                return candidate
        if len(calls) >= MIN_CALLS:
            for candidate in {i for mark in calls for i in self._by_call.get(mark, ())}:
                if jaccard(calls, self._calls.get(candidate, NOTHING)) >= CALLS:
                    return candidate
        return ""


def signature(task: Task) -> str:
    """All calls with their values, turn by turn, and the category."""
    turns = (";".join(map(str, turn.ground_truth)) for turn in task.turns)
    return f"{task.category}|{'|'.join(turns)}"


def near(one: Task, two: Task) -> bool:
    """Whether one task is a near-copy of another."""
    calls = call_marks(one)
    return jaccard(shingles(one), shingles(two)) >= TEXT or (
        len(calls) >= MIN_CALLS and jaccard(calls, call_marks(two)) >= CALLS
    )


def shingles(task: Task) -> frozenset[int]:
    """Hashes of all sequences of three words of the user."""
    return text_shingles("\n".join(turn.user for turn in task.turns))


def _marks(task: Task) -> tuple[frozenset[int], frozenset[int], tuple[tuple[int, ...], ...]]:
    """Shingles, call marks and bands."""
    text = "\n".join(turn.user for turn in task.turns)
    return text_shingles(text), call_marks(task), _text_bands(text)


@lru_cache(maxsize=64)  # a task is compared and then added
def _text_bands(text: str) -> tuple[tuple[int, ...], ...]:
    return tuple(_bands(text_shingles(text)))


@lru_cache(maxsize=64)
def text_shingles(text: str) -> frozenset[int]:
    """Hashes of all sequences of three words of a text."""
    words = WORD.findall(text.lower())
    return frozenset(_hash(" ".join(words[i : i + 3])) for i in range(max(1, len(words) - 2)))


def call_marks(task: Task) -> frozenset[int]:
    """Hashes of the ground-truth calls that have arguments."""
    return frozenset(_hash(str(call)) for call in task.calls if call.arguments)


def jaccard(one: frozenset[int], two: frozenset[int]) -> float:
    """Share of common members; 0 for two empty sets."""
    both = len(one & two)
    return both / max(1, len(one) + len(two) - both)


def _bands(marks: frozenset[int]) -> Iterator[tuple[int, ...]]:
    for band in range(BANDS):
        rows = range(band * ROWS, (band + 1) * ROWS)
        mins = (min(map(ORDERS[row].__xor__, marks)) for row in rows)
        yield (band, *mins)


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
