"""A small environment in a folder of its own: a class and the tasks for it."""

from __future__ import annotations

import json
from itertools import cycle
from pathlib import Path

CLASS = '''
class Shop:
    """A small shop."""

    def __init__(self) -> None:
        self.opens: dict = {}
        self.limit: float = 1.0

    def opening(self, day: str) -> dict:
        """Tell when the shop opens.

        Args:
            day: Day of the week.
        """
        return {"opens": self.opens.get(day)}

    def set_opening(self, day: str, at: str) -> dict:
        """Set when the shop opens.

        Args:
            day: Day of the week.
            at: Time of day.
        """
        self.opens[day] = at
        return {"ok": True}
'''
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
OPTIONS = ("--env", "shop:Shop", "--tasks", "tasks.jsonl")


def open_shop(folder: Path) -> None:
    """Write `shop.py` and `tasks.jsonl`."""
    (folder / "shop.py").write_text(CLASS)
    rows = [
        {
            "id": f"t{hour}",
            "start": {"Shop": {"limit": 1.0}},
            "turns": [
                {
                    "user": f"Open at {hour} on {day}.",
                    "calls": [f"set_opening(day='{day[:3].lower()}', at='{hour}:00')"],
                }
            ],
        }
        for hour, day in zip(range(7, 19), cycle(DAYS), strict=False)
    ]
    (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def ask_first(folder: Path) -> None:
    """Let the first turn of each task lack an argument, so that it needs no call: an agent that
    makes none passes it."""
    file = folder / "tasks.jsonl"
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for row in rows:
        hour = row["id"].removeprefix("t")
        last = {"user": f"At {hour}:00.", "calls": row["turns"][0]["calls"]}
        first = row["turns"][0]["user"].replace(f" at {hour}", "")
        row["turns"] = [{"user": first, "calls": []}, last]
        row["category"] = "miss_param"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
