"""A policy that says what it was given."""

from __future__ import annotations

from collections.abc import Sequence

Ids = list[int]


class Replay:
    """Test double: an action a round for each row, and a memory of what it was shown."""

    def __init__(self, scripts: Sequence[Sequence[Ids]]) -> None:
        self.scripts = scripts

    def start(self, rows: int) -> None:
        assert rows == len(self.scripts)
        self.shown: list[list[Ids]] = [[] for _ in range(rows)]

    def generate(
        self, histories: Sequence[Sequence[int]], rows: Sequence[int]
    ) -> list[tuple[Ids, list[float]]]:
        made = []
        for history, row in zip(histories, rows, strict=True):
            ids = self.scripts[row][len(self.shown[row]) % len(self.scripts[row])]
            self.shown[row].append(list(history))
            made.append((list(ids), [-float(i) for i in range(len(ids))]))
        return made
