"""What the seed tasks show about tools: their order, flows of values, and dependent calls.

A fragment is a set of calls that depend on one another in a seed task. Two fragments with the same
classes, roles and edges can replace one another, so a plan can change its tools and keep the
profile.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import networkx as nx

from rods.flows import Link
from rods.profile import Profile
from rods.synthesis.catalogue import Phrase, catalogue
from rods.task import Task, ToolSpec

UNPLANNED = {"edit_ticket", "get_outside_temperature_from_weather_com", "get_current_speed"}
UNPLANNED |= {"get_outside_temperature_from_google"}  # their responses are random
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Fragment:
    """Calls that depend on one another.

    Attributes:
        tools: their names, in order.
        links: flows of values between them; positions are those within the fragment.
    """

    tools: tuple[str, ...]
    links: tuple[Link, ...] = ()

    def sources(
        self, place: int, positions: Sequence[int]
    ) -> dict[str, tuple[tuple[int, str], ...]]:
        """What flows into the call at a place; see `PlannedCall`.

        Args:
            positions: of its calls in a plan.
        """
        found: dict[str, tuple[tuple[int, str], ...]] = {}
        for link in self.links:
            if link.consumer == place:
                origin = positions[link.producer], link.key
                found[link.parameter] = (*found.get(link.parameter, ()), origin)
        return found


@dataclass
class ToolGraph:
    """Learns from seed tasks, never from held-out ones.

    Args:
        any_role: whether fragments that differ only in the roles of their calls count as alike; the
            gate on the profile decides how far they may differ.

    Attributes:
        follows: how often a tool follows another one.
        flows: (producer, field of its response, consumer, parameter) -> how often the value flows.
        fragments: by their structure, see `key_of`.
    """

    tools: Mapping[str, ToolSpec]
    follows: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    flows: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    fragments: dict[Key, dict[Fragment, int]] = field(default_factory=lambda: defaultdict(Counter))
    any_role: bool = False

    def __post_init__(self) -> None:
        self.phrases: dict[str, Phrase] = catalogue(self.tools)

    def learn(self, task: Task, links: Sequence[Link], phi: Profile) -> None:
        """Count the transitions, flows and fragments of a seed task."""
        calls = task.calls
        for one, two in pairwise(calls):
            self.follows[one.name][two.name] += 1
        for link in links:
            key = (calls[link.producer].name, link.key, calls[link.consumer].name, link.parameter)
            self.flows[key] += 1
        for members in components(phi):
            self.fragments[key_of(phi, members)][fragment_of(task, members, links)] += 1

    def same_role(self, name: str) -> list[str]:
        """Other tools of the same class and role."""
        owner, role = self.tools[name].owner, self.phrases[name].role
        return [
            n
            for n, t in self.tools.items()
            if t.owner == owner and self.phrases[n].role == role and n not in (name, *UNPLANNED)
        ]

    def alternatives(self, phi: Profile, members: Sequence[int]) -> list[Fragment]:
        """Fragments of the seed tasks that can replace these calls of a task."""
        key = key_of(phi, members)
        found: Iterable[Fragment] = self.fragments.get(key, {})
        if self.any_role:
            alike = (
                other for other in self.fragments if _without_roles(other) == _without_roles(key)
            )
            found = [fragment for other in alike for fragment in self.fragments[other]]
        return [f for f in found if UNPLANNED.isdisjoint(f.tools)]


def components(phi: Profile) -> list[list[int]]:
    """Groups of calls that depend on each other by value or state edges, as sorted positions."""
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(len(phi.tools)))
    graph.add_edges_from((i, j) for i, j, _ in phi.edges)
    return sorted(sorted(found) for found in nx.connected_components(graph))


def key_of(phi: Profile, members: Sequence[int]) -> Key:
    """Classes, roles and edges of some calls, without their names and turns."""
    labels = [call for turn in phi.shape for call in turn]
    place = {position: i for i, position in enumerate(members)}
    edges = frozenset(
        (place[i], place[j], kind) for i, j, kind in phi.edges if i in place and j in place
    )
    return (tuple(labels[i] for i in members), edges)


def _without_roles(key: Key) -> Key:
    labels, edges = key
    return tuple(owner for owner, _ in labels), edges


def fragment_of(task: Task, members: Sequence[int], links: Iterable[Link]) -> Fragment:
    """Some calls of a task and the flows between them."""
    place = {position: i for i, position in enumerate(members)}
    within = tuple(
        li._replace(producer=place[li.producer], consumer=place[li.consumer])
        for li in links
        if li.producer in place and li.consumer in place
    )
    return Fragment(tuple(task.calls[i].name for i in members), within)
