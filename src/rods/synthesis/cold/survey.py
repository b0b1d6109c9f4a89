"""The survey: what each tool does, as calls on forks of a session have shown.

It says which tools can be called at all, which write, which parameters take any value, and what
each response shows. From these follows which tools can feed which others, and how long a chain can
be. It depends on the tools and the start states only, so it is made once for all workers (`trial`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rods.errors import shown
from rods.synthesis.cold.known import Known, Open, takes
from rods.synthesis.cold.suited import Suited
from rods.task import Call, ToolSpec

LONGEST = 8  # calls of a chain that is looked for
Done = tuple[Call, str]


@dataclass
class Found:
    """What is known of a tool.

    Attributes:
        shows: the values of a response to it.
        writes: whether it changed a state.
        failure: the last answer, if no call succeeded.
        stopped: it hung, took too much memory or ended its process; it is not called again.
        calls, taken: how many were made, and how many of these succeeded.
    """

    shows: tuple[Known, ...] = ()
    writes: bool = False
    works: bool = False
    failure: str = ""
    stopped: bool = False
    calls: int = 0
    taken: int = 0

    @property
    def choosy(self) -> bool:
        """Whether most calls fail."""
        return 2 * self.taken < self.calls


@dataclass
class Survey:
    """What the tools do.

    Attributes:
        found: by tool.
        opened: parameters that take any value.
        suited: ids that the tools take.
    """

    tools: Mapping[str, ToolSpec]
    found: dict[str, Found] = field(default_factory=dict)
    opened: Open = frozenset()
    suited: Suited = field(default_factory=Suited)

    @property
    def usable(self) -> list[str]:
        """The tools of which a call succeeded."""
        return [name for name, each in self.found.items() if each.works]

    def feeds(self) -> dict[str, list[str]]:
        """For each usable tool the others that take a value which it shows."""
        usable = self.usable
        return {
            one: [
                two
                for two in usable
                if two != one and takes(self.tools[two], self.found[one].shows, self.opened)
            ]
            for one in usable
        }

    def reach(self) -> dict[str, int]:
        """For each usable tool the calls of the longest chain that it can begin; `LONGEST` at most.

        Names decide, so a chain may turn out not to execute.
        """
        feeds = self.feeds()
        longest = dict.fromkeys(feeds, 1)
        for _ in range(LONGEST - 1):
            longest = {
                one: 1 + max((longest[two] for two in following), default=0)
                for one, following in feeds.items()
            }
        return longest

    def failures(self) -> dict[str, str]:
        """The tools of which no call succeeded, with the last answer."""
        return {n: shown(each.failure, 120) for n, each in self.found.items() if not each.works}
