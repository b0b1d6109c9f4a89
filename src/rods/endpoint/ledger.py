"""Counts of the questions, and their costs by role."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple


@dataclass
class Usage:
    """Sums over the questions of one role.

    `seconds` is the time in which requests were under way, without pauses between them. `cost` is
    in the currency of the configured prices.
    """

    asked: int = 0
    answered: int = 0
    tries: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    seconds: float = 0.0


class Progress(NamedTuple):
    """Numbers of requests under way, and of questions answered and failed."""

    under_way: int = 0
    answered: int = 0
    failed: int = 0


class Ledger:
    """Counts, from many threads.

    `counts` has "asked", "answered", each cause of a failed question, "tried" (requests), "again
    after <cause>" (requests that had to be repeated), and for each step to a plainer form how often
    it was taken, such as "asked in tags instead"; and the same for each role, as "<role>: <what>".

    Attributes:
        failure: cause and detail of the latest question that failed.
    """

    failure = ""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._usage: dict[str, Usage] = {}
        self._under_way = 0

    @property
    def counts(self) -> Counter[str]:
        """A copy of the counts so far."""
        with self._lock:
            return Counter(self._counts)

    @property
    def usage(self) -> dict[str, Usage]:
        """A copy of the sums so far, by role."""
        with self._lock:
            return {role: replace(usage) for role, usage in self._usage.items()}

    @property
    def progress(self) -> Progress:
        """The progress of the questions."""
        with self._lock:
            asked, answered = self._counts["asked"], self._counts["answered"]
            return Progress(self._under_way, answered, asked - answered)

    @contextmanager
    def request(self, role: str) -> Iterator[None]:
        """Counts a request as under way inside the block."""
        self.count(role, "tried")
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def count(self, role: str, *what: str) -> None:
        """Count events of a role's question."""
        with self._lock:
            for name in what:
                self._counts[name] += 1
                self._counts[f"{role}: {name}"] += 1

    def add(self, role: str, spent: Usage) -> None:
        """Add the usage of one question."""
        with self._lock:
            usage = self._usage.setdefault(role, Usage())
            for name, value in vars(spent).items():
                setattr(usage, name, getattr(usage, name) + value)
