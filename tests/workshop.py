"""A workshop whose reads have all kinds of purposes, and tasks of one turn over it."""

from __future__ import annotations

from typing import Any

from rods.envs.notation import parse_calls
from rods.envs.python import PythonEnvironment
from rods.synthesis.meaning.trace import CallTrace
from rods.task import Task, Turn


class Workshop:
    """Folders with notes, boxes with things, and marks."""

    def __init__(self) -> None:
        self.notes: dict[str, list[str]] = {"": [], "blue": []}
        self.boxes: dict[str, list[str]] = {}
        self.things: dict[str, str] = {}
        self.marks: list[float] = []
        self._folder = ""  # where notes are written; no part of the state

    def go_to(self, folder: str) -> dict[str, str]:
        """Enter."""
        self._folder = folder
        return {"now": folder}

    def write_note(self, note: str) -> dict[str, str]:
        """Write."""
        self.notes[self._folder].append(note)
        return {"written": note}

    def all_boxes(self) -> list[str]:
        """Names."""
        return [box for box in self.boxes if box != "B3"]

    def unpack(self, box: str) -> list[str]:
        """Contents."""
        return self.boxes[box]

    def all_things(self) -> list[dict[str, str]]:
        """Catalogue."""
        return [{"code": code, "title": title} for code, title in self.things.items()]

    def weigh(self, code: str) -> dict[str, int]:
        """Grams."""
        return {"grams": 100 * len(self.things[code])}

    def send(self, code: str) -> dict[str, str]:
        """Post."""
        del self.things[code]
        return {"sent": code}

    def all_marks(self) -> list[float]:
        """Points."""
        return self.marks

    def mean(self, numbers: list[float]) -> float:
        """Centre."""
        return sum(numbers) / len(numbers)

    def put_together(self, numbers: list[float]) -> float:
        """Join."""
        return sum(numbers)

    def within(self, numbers: list[float]) -> int:
        """Between."""
        return sum(numbers[0] <= mark <= numbers[1] for mark in self.marks)

    def lid_details(self) -> dict[str, bool]:
        """Closed."""
        return {"closed": bool(self.boxes)}


ENV = PythonEnvironment(Workshop)


def trace(words: str, calls: str) -> CallTrace:
    """A task of one turn, executed."""
    state: dict[str, Any] = {
        "notes": {"": [], "blue": []},
        "boxes": {"B1": ["T11"], "B2": ["T22"], "B3": ["T33"]},
        "things": {"T11": "Oak Chair", "T22": "Vase", "T33": "Tin Whistle"},
        "marks": [62.5, 71.5],
    }
    turn = Turn(user=words, ground_truth=parse_calls(calls, ENV.specs))
    start = {"Workshop": state}
    task = Task(
        category="base", classes=("Workshop",), start=start, turns=(turn,), environment=ENV.name
    )
    return CallTrace(task, ENV)
