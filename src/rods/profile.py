"""The complexity profile Phi of a task: what a variant must keep.

Open in the paper: how the profile is extracted, its distance, and the threshold. Here Phi is a
labelled graph that is computed from the executed ground truth, with a distance.

The graph has a node for each turn and each call. A call's label is its class and its role by
effect: it writes if it changes the state, opens if it changes only later responses (a change of
folder), else it reads. Edges between calls are labelled "value" (an earlier response produced an
argument that no argument had before), else "state" (the later response differs without the earlier
call, and no call between them explains it), else "order" (one follows the other). Phi also has the
category, the turns that refer to earlier ones for a value, and the number of arguments that only
responses state. The tool that a node calls is not part of Phi.

The order edges make the call order the only topological order, so two graphs are isomorphic if and
only if they are equal when read in that order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import networkx as nx

from rods.ablation import Ablation, ablate, call_states
from rods.envs.base import Environment
from rods.flows import find_links
from rods.provenance import Source, sources
from rods.reward import GoldTrace, trusted_trace
from rods.task import Task, ToolSpec

Role = Literal["read", "write", "open"]
Edge = tuple[int, int, Literal["value", "state"]]


@dataclass(frozen=True)
class Profile:
    """Phi of one task.

    Attributes:
        shape: the calls of each turn as (class, role).
        edges: (earlier call, later call, "value" or "state"), positions in `Task.calls`.
        refers: turns that take an argument's value from an earlier message or response only.
        unseen: for each turn, the number of arguments that only an earlier response states.
        tools: the calls' names, which comparisons ignore.
    """

    category: str
    shape: tuple[tuple[tuple[str, Role], ...], ...]
    edges: frozenset[Edge]
    refers: frozenset[int]
    unseen: tuple[int, ...]
    tools: tuple[str, ...]

    @property
    def depth(self) -> int:
        """Calls on the longest chain of value and state edges; 1 without any."""
        depth: dict[int, int] = {}
        for source, target, _ in sorted(self.edges, key=lambda edge: edge[1]):
            depth[target] = max(depth.get(target, 1), depth.get(source, 1) + 1)
        return max(depth.values(), default=1)

    @cached_property
    def graph(self) -> nx.DiGraph[int]:
        """The labelled graph of the calls, order edges included; nodes are positions."""
        graph: nx.DiGraph[int] = nx.DiGraph()
        labels = [(turn, *call) for turn, calls in enumerate(self.shape) for call in calls]
        graph.add_nodes_from((i, {"label": label}) for i, label in enumerate(labels))
        graph.add_edges_from((i, i + 1, {"kind": "order"}) for i in range(len(labels) - 1))
        graph.add_edges_from((i, j, {"kind": kind}) for i, j, kind in self.edges)
        return graph

    def summary(self) -> dict[str, Any]:
        """Plain data for people and programs."""
        kinds = Counter(kind for _, _, kind in self.edges)
        return {
            "category": self.category,
            "turns": len(self.shape),
            "calls": [len(turn) for turn in self.shape],
            "roles": dict(Counter(role for turn in self.shape for _, role in turn)),
            "classes": sorted({owner for turn in self.shape for owner, _ in turn}),
            "tools": list(self.tools),
            "depth": self.depth,
            "edges": [list(edge) for edge in sorted(self.edges)],
            "value edges": kinds["value"],
            "state edges": kinds["state"],
            "refers": sorted(self.refers),
            "unseen": sum(self.unseen),
        }


def profile(task: Task, env: Environment) -> Profile:
    """Phi of a task, which is executed here.

    Raises:
        UserError: see `reward.trusted_trace`.
    """
    gold = trusted_trace(task, env)
    return profile_of(task, gold, ablate(task, env, gold, call_states(task, env)), env.tools(task))


def profile_of(
    task: Task, gold: GoldTrace, ablations: Sequence[Ablation], tools: Mapping[str, ToolSpec]
) -> Profile:
    """Phi of a task from its trace and ablations.

    Args:
        tools: those of the task, by name.
    """
    values = {(li.producer, li.consumer) for li in find_links(task.calls, gold.responses)}
    states = _direct({(i, j) for i, left in enumerate(ablations) for j in left.affects} | values)
    found = iter(zip(task.calls, ablations, sources(task, gold.responses, tools), strict=True))
    shape, refers, unseen = [], set(), []
    for index, turn in enumerate(task.turns):
        rows = [next(found) for _ in turn.ground_truth]
        shape.append(tuple((tools[call.name].owner, _role(left)) for call, left, _ in rows))
        known = [source for _, _, by_name in rows for source in by_name.values()]
        if Source.BEFORE in known or Source.OUTPUT in known:
            refers.add(index)
        unseen.append(known.count(Source.OUTPUT))
    edges: set[Edge] = {(i, j, "value") for i, j in values}
    edges |= {(i, j, "state") for i, j in states - values}
    names = tuple(call.name for call in task.calls)
    return Profile(
        task.category, tuple(shape), frozenset(edges), frozenset(refers), tuple(unseen), names
    )


def distance(one: Profile, two: Profile) -> float:
    """The share of two profiles that has no counterpart in the other, in [0, 1].

    The parts that count are turns, calls, value and state edges, turns that refer back, unseen
    arguments, and the category. As many calls and turns as possible are matched in order (an edit
    distance); an edge has a counterpart if both its ends have one and the label is the same. The
    distance is symmetric. It is 0 if and only if the graphs are isomorphic and all else is equal;
    0.1 means that one part in ten would have to change.
    """
    matched = max(_matched(one, two), _matched(two, one))
    return 1 - 2 * matched / (_size(one) + _size(two))


def _direct(pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Dependencies except those that go through a call between."""
    return {
        (i, j)
        for i, j in pairs
        if not any((i, k) in pairs and (k, j) in pairs for k in range(i + 1, j))
    }


def _role(left: Ablation) -> Role:
    return "write" if left.writes else "open" if left.affects else "read"


def _items(found: Profile) -> list[tuple[str, ...]]:
    """Turns and calls in order, as labels."""
    return [item for turn in found.shape for item in (("turn",), *turn)]


def _size(found: Profile) -> int:
    calls = sum(map(len, found.shape))
    parts = len(found.shape) + calls + len(found.edges) + len(found.refers) + sum(found.unseen)
    return parts + 1


def _matched(one: Profile, two: Profile) -> int:
    pairs = _alignment(_items(one), _items(two))
    calls_one, calls_two = _numbers(_items(one)), _numbers(_items(two))
    to = {calls_one[i]: calls_two[j] for i, j in pairs if i in calls_one}
    edges = sum((to.get(i), to.get(j), kind) in two.edges for i, j, kind in one.edges)
    unseen = sum(map(min, one.unseen, two.unseen))
    same = one.category == two.category
    return len(pairs) + edges + len(one.refers & two.refers) + unseen + same


def _numbers(items: Sequence[tuple[str, ...]]) -> dict[int, int]:
    """Index of each call among the items -> its position among the calls."""
    calls = [index for index, item in enumerate(items) if item != ("turn",)]
    return {index: position for position, index in enumerate(calls)}


def _alignment(
    one: Sequence[tuple[str, ...]], two: Sequence[tuple[str, ...]]
) -> list[tuple[int, int]]:
    """A longest common subsequence, as pairs of indices."""
    best = [[0] * (len(two) + 1) for _ in range(len(one) + 1)]
    for i in reversed(range(len(one))):
        for j in reversed(range(len(two))):
            best[i][j] = (
                best[i + 1][j + 1] + 1 if one[i] == two[j] else max(best[i + 1][j], best[i][j + 1])
            )
    pairs, i, j = [], 0, 0
    while i < len(one) and j < len(two):
        if one[i] == two[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs
