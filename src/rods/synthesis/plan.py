"""Stage I, plan: which tools in which turn, so that the profile of the parent is kept.

Departure from the paper: by program, no model. A step is free to use another tool of the same
class and role unless a value flows through it; the first attempts re-plan, the last one keeps the
parent's tools. Flows are kept as links that execution has to fill anew.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rods.profile import Link
from rods.synthesis.catalogue import roles
from rods.task import Category, Task, ToolSpec, Turn

UNPLANNED = {"edit_ticket", "get_outside_temperature_from_weather_com", "get_current_speed"}
UNPLANNED |= {"get_outside_temperature_from_google"}  # random draws: nothing to be asked for


@dataclass(frozen=True)
class Step:
    """One call to be made: the tools to try in order, and where linked arguments come from.

    `sources` maps a parameter to (position of the producing step, field of its response).
    """

    tools: tuple[str, ...]
    sources: dict[str, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Steps by turn for the base form of a task, i.e. before augmentation.

    `augmented` is the turn that augmentation splits, or None.
    """

    category: Category
    classes: tuple[str, ...]
    turns: tuple[tuple[Step, ...], ...]
    augmented: int | None = None
    parent: str = ""


@dataclass
class ToolGraph:
    """What the seeds show of the tools: what follows what, and which values flow where."""

    tools: Mapping[str, ToolSpec]
    follows: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    flows: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    def learn(self, task: Task, links: Iterable[Link]) -> None:
        """Count a seed's transitions and flows."""
        calls = task.calls
        for one, two in pairwise(calls):
            self.follows[one.name][two.name] += 1
        for link in links:
            key = (calls[link.producer].name, link.key, calls[link.consumer].name, link.parameter)
            self.flows[key] += 1

    def same_role(self, name: str) -> list[str]:
        """Tools of the same class and role, the tool itself left out."""
        owner, role = self.tools[name].owner, roles().get(name)
        return [
            n
            for n, t in self.tools.items()
            if t.owner == owner and roles().get(n) == role and n != name and n not in UNPLANNED
        ]


def base_form(task: Task) -> tuple[tuple[Turn, ...], int | None]:
    """A task's turns without the one that augmentation added, and the index of the split turn."""
    for index, turn in enumerate(task.turns[:-1]):
        if turn.ground_truth or task.category not in (Category.MISS_FUNC, Category.MISS_PARAM):
            continue
        following = task.turns[index + 1]
        if following.ground_truth and (following.restores or task.category == Category.MISS_PARAM):
            return (*task.turns[:index], *task.turns[index + 1 :]), index
    return task.turns, None


def plan_like(
    task: Task, links: Iterable[Link], graph: ToolGraph, rng: random.Random, *, keep_tools: bool
) -> Plan:
    """A plan with the parent's profile.

    Args:
        links: the parent's links, positions in `task.calls` (augmentation adds no calls).
        keep_tools: True for the parent's own sequence of tools.
    """
    by_consumer: dict[int, list[Link]] = defaultdict(list)
    producers = set()
    for link in links:
        by_consumer[link.consumer].append(link)
        producers.add(link.producer)
    turns, augmented = base_form(task)
    steps, position = [], 0
    for turn in turns:
        row = []
        for call in turn.ground_truth:
            name, feeds = call.name, by_consumer[position]
            others: list[str] = []
            # A step that values flow through keeps its tool: its fields and parameters are fixed.
            through = position in producers or feeds
            if not keep_tools and not through and roles().get(name) != "session":
                others = graph.same_role(name)
            rng.shuffle(others)
            own = [name] if name not in UNPLANNED else []
            tools = (*own, *others) if rng.random() < 0.3 else (*others, *own)
            row.append(Step(tools[:6], {li.parameter: (li.producer, li.key) for li in feeds}))
            position += 1
        steps.append(tuple(row))
    return Plan(task.category, task.classes, tuple(steps), augmented, task.id)


def plan_fresh(
    classes: Sequence[str],
    sizes: Sequence[int],
    category: Category,
    graph: ToolGraph,
    rng: random.Random,
    augmented: int | None = None,
) -> Plan:
    """A new plan: tools drawn by what follows what in the seeds, or at random.

    Args:
        sizes: calls of each turn.
    """
    names = [n for n, t in graph.tools.items() if t.owner in classes and n not in UNPLANNED]
    turns, before = [], ""
    for size in sizes:
        row = []
        for _ in range(size):
            follow = [n for n in graph.follows.get(before, ()) if n in names]
            weights = [graph.follows[before][n] for n in follow]
            tools = [rng.choices(follow, weights)[0]] if follow and rng.random() < 0.6 else []
            tools += rng.sample(names, min(6, len(names)))
            before = tools[0]
            row.append(Step(tuple(dict.fromkeys(tools))))
        turns.append(tuple(row))
    return Plan(category, tuple(classes), tuple(turns), augmented)
