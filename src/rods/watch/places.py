"""Addresses of pages."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from rods.digest.search import Filters

ENTER = "/enter"
STATIC = "/static/"
VERSIONS = "/versions"


class Places:
    """Addresses of the pages of a run."""

    def __init__(self, run: str) -> None:
        self.run = f"/run/{quote(run, safe='')}"

    @property
    def tasks(self) -> str:
        return f"{self.run}/tasks"

    @property
    def episodes(self) -> str:
        return f"{self.run}/episodes"

    @property
    def compare(self) -> str:
        return f"{self.run}/compare"

    def task(self, task_id: str, beside: str = "") -> str:
        """Of a task, alone or beside another."""
        more = f"?{urlencode({'beside': beside})}" if beside else ""
        return f"{self.run}/task/{quote(task_id, safe='')}{more}"

    def episode(self, key: str, beside: str = "") -> str:
        """Of an episode, alone or beside another."""
        more = f"?{urlencode({'beside': beside})}" if beside else ""
        return f"{self.run}/episode/{quote(key, safe='')}{more}"

    def found(self, what: str, filters: Filters, before: int = 0) -> str:
        """Of the tasks or episodes with these filters.

        Args:
            what: "tasks" or "episodes".
            before: see `rods.digest.search.find_tasks`.
        """
        named = {name: value for name, value in filters._asdict().items() if value}
        more = {"before": str(before)} if before else {}
        asked = urlencode({**named, **more})
        return f"{self.run}/{what}{'?' + asked if asked else ''}"
