"""High-level functions: chains of calls in which values flow, as the seeds have them.

The paper's planner prefers them and the system expands them into calls; its catalogue is not
published. This one is learned: each fragment of a seed in which every call but the first takes
something from an earlier one becomes a function, so that own environments have theirs too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rods.synthesis.draft import Step
from rods.synthesis.toolgraph import Fragment, ToolGraph
from rods.task import ToolSpec

MAX_CALLS = 4


@dataclass(frozen=True)
class Composite:
    """A chain of calls under one name."""

    name: str
    fragment: Fragment

    def steps(self, first: int) -> list[Step]:
        """Its calls, the first of them at a position of the plan."""
        links = self.fragment.links
        return [
            Step(
                (tool,),
                {li.parameter: (first + li.producer, li.key) for li in links if li.consumer == at},
            )
            for at, tool in enumerate(self.fragment.tools)
        ]

    def describe(self, tools: Mapping[str, ToolSpec]) -> str:
        """What it does, from the tools' own documents."""
        doc = tools[self.fragment.tools[-1]].description.split(".")[0]
        return f"{' > '.join(self.fragment.tools)}: {doc}"


def composites(graph: ToolGraph) -> dict[str, Composite]:
    """The high-level functions of an environment by name."""
    found: dict[str, Composite] = {}
    fragments = {f for by_key in graph.fragments.values() for f in by_key if _flows(f)}
    for fragment in sorted(fragments, key=lambda f: f.tools):
        first = ", ".join(dict.fromkeys(fragment.tools[:-1])).replace(", ", "_and_")
        name = f"{fragment.tools[-1]}_after_{first}"
        if name not in graph.tools and name not in found:
            found[name] = Composite(name, fragment)
    return found


def _flows(fragment: Fragment) -> bool:
    """Whether something flows into the last call from each of the others, through others or not."""
    last = len(fragment.tools) - 1
    reached = {last}
    for link in sorted(fragment.links, key=lambda li: -li.consumer):
        if link.consumer in reached:
            reached.add(link.producer)
    return 0 < last < MAX_CALLS and len(reached) == last + 1
