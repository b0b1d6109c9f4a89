"""Stage I, plan: the tools of each turn, so that the parent's profile is kept.

Departure from the paper: a program makes the plan, without a model. Calls that depend on each other
are replaced as a whole by calls that depend on each other in the same way in some seed task. A call
without dependencies may be any tool of its class and role. The last attempt keeps the parent's
tools.

A parent with more turns than a task may have is cut to as many turns as allowed, with the augmented
one among them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from rods.envs.base import Environment
from rods.flows import Link, find_links
from rods.profile import Profile
from rods.synthesis.augment import base_form
from rods.synthesis.failures import History, Kind, SynthesisError
from rods.synthesis.meaning.trace import CallTrace
from rods.synthesis.stages import Plan, PlannedCall
from rods.synthesis.toolgraph import UNPLANNED, ToolGraph, components, fragment_of
from rods.task import Task

TRIES = 3  # plans drawn until one differs from those that failed (paper, appendix J)
CHOICES = 6  # tools that a step may fall back on
OWN_FIRST = 0.3  # share of steps that try the parent's tool before the others


class ProgramPlanner:
    """Plans by program.

    Args:
        turns: the most that a finished task may have.
    """

    def __init__(self, env: Environment, graph: ToolGraph, turns: int) -> None:
        self.env, self.graph, self.turns = env, graph, turns
        self._known: dict[str, tuple[Task, int | None, Profile, list[Link]]] = {}

    def learn(self, seed: Task) -> None:
        """Add a seed task to the tool graph."""
        base, _, phi, links = self._analysed(seed)
        self.graph.learn(base, links, phi)

    @property
    def profiles(self) -> dict[str, Profile]:
        """The profiles of the seed tasks that have the base form, by their id."""
        known = self._known.items()
        return {name: phi for name, (base, _, phi, _) in known if base.id == name}

    def plan(self, parent: Task, history: History, rng: random.Random, *, keep: bool) -> Plan:
        """See `stages.Planner`.

        Raises:
            SynthesisError: no other plan was found.
        """
        for _ in range(TRIES):
            plan = self._draw(parent, history.blocked, rng, keep)
            if plan.tools not in history.plans or keep:
                return plan
        raise SynthesisError(Kind.NO_PATTERN, "no other plan was found")

    def _draw(self, parent: Task, blocked: frozenset[str], rng: random.Random, keep: bool) -> Plan:
        base, augmented, phi, links = self._analysed(parent)
        steps: dict[int, PlannedCall] = {}
        for members in components(phi):
            fragment = fragment_of(base, members, links)
            if not keep:
                others = [f for f in self.graph.alternatives(phi, members) if f != fragment]
                others = [f for f in others if blocked.isdisjoint(f.tools)]
                fragment = rng.choice([*others, fragment])
            for place, position in enumerate(members):
                feeds = fragment.sources(place, members)
                fixed = keep or feeds or any(source == position for source, _, _ in phi.edges)
                name = fragment.tools[place]
                tools = (name,) if fixed else self._tools(name, blocked, rng)
                steps[position] = PlannedCall(tools, feeds)
        return _cut(parent, steps, phi, augmented, self.turns)

    def _tools(self, name: str, blocked: frozenset[str], rng: random.Random) -> tuple[str, ...]:
        """Tools for a step without dependencies, in the order to be tried."""
        others = [n for n in self.graph.same_role(name) if n not in blocked]
        rng.shuffle(others)
        own = [name] if name not in UNPLANNED and name not in blocked else []
        tools = [*own, *others] if rng.random() < OWN_FIRST else [*others, *own]
        if not tools:
            raise SynthesisError(Kind.SAMPLING, f"nothing can stand for {name}")
        return tuple(tools[:CHOICES])

    def _analysed(self, task: Task) -> tuple[Task, int | None, Profile, list[Link]]:
        if task.id not in self._known:
            base, augmented = base_form(task)
            trace = CallTrace(base, self.env)
            links = find_links(base.calls, trace.responses)
            self._known[task.id] = base, augmented, trace.profile, links
        return self._known[task.id]


def _cut(
    parent: Task, steps: Mapping[int, PlannedCall], phi: Profile, augmented: int | None, limit: int
) -> Plan:
    """The steps by turn, at most `limit` turns, the augmented one among them."""
    size = limit - (augmented is not None)
    first = max(0, (augmented or 0) - size + 1)
    bounds = list(accumulate(map(len, phi.shape), initial=0))
    before = bounds[first]

    def moved(step: PlannedCall) -> PlannedCall:
        sources = {
            place: tuple((at - before, key) for at, key in found if at >= before)
            for place, found in step.sources.items()
        }
        return PlannedCall(step.tools, {place: found for place, found in sources.items() if found})

    turns = [
        tuple(moved(steps[position]) for position in range(start, end))
        for start, end in list(pairwise(bounds))[first : first + size]
    ]
    return Plan(
        category=parent.category,
        classes=parent.classes,
        turns=tuple(turns),
        augmented=None if augmented is None else augmented - first,
        parent=parent.id,
        refers=frozenset(turn - first for turn in phi.refers if first <= turn < first + size),
    )


def plan_fresh(
    classes: Sequence[str],
    sizes: Sequence[int],
    category: str,
    graph: ToolGraph,
    rng: random.Random,
    augmented: int | None = None,
) -> Plan:
    """A new plan: tools drawn by the order of tools in the seed tasks, or at random.

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
            tools += rng.sample(names, min(CHOICES, len(names)))
            before = tools[0]
            row.append(PlannedCall(tuple(dict.fromkeys(tools))))
        turns.append(tuple(row))
    return Plan(category, tuple(classes), tuple(turns), augmented)
