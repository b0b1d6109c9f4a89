"""Stage I by a model: a story first, then the functions of each turn.

As in the paper the model sees the parent's classes, queries and functions, high-level functions
before bottom-level ones, and all earlier failures with advice. Departure: the prompt describes turn
by turn the structure that must be kept, since the gates will measure it.

High-level functions are chains of calls in which values flow; the system expands them into calls.
The paper's catalogue is not published. This one is learned from the fragments of the seed tasks: a
fragment in which values flow from each call into the last one becomes a function. So the user's own
environments have such functions too.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from rods.synthesis.augment import base_form
from rods.synthesis.failures import ADVICE, History, Kind, SynthesisError
from rods.synthesis.llm.forms import Planned
from rods.synthesis.llm.prompts import Model, ask, tool_lines
from rods.synthesis.plan import TRIES, ProgramPlanner
from rods.synthesis.stages import Plan, PlannedCall
from rods.synthesis.toolgraph import UNPLANNED, Fragment, ToolGraph
from rods.task import Task, ToolSpec

NAME = re.compile(r"[A-Za-z_]\w*")
MAX_CALLS = 4  # of a high-level function
MAX_FUNCTIONS = 12  # of a turn, high-level ones counted once


@dataclass
class LlmPlanner:
    """Plans by a model.

    Args:
        structure: plans by program, which show what of the parent must be kept.
        narrative: whether a story is asked for (the paper's ablation leaves it out).
    """

    model: Model
    structure: ProgramPlanner
    narrative: bool = True
    composites: dict[str, Composite] = field(init=False)

    def __post_init__(self) -> None:
        self.composites = composites(self.structure.graph)

    def plan(self, parent: Task, history: History, rng: random.Random, *, keep: bool) -> Plan:
        """See `stages.Planner`.

        Args:
            keep: not used; the model may keep the parent's functions at any time.

        Raises:
            SynthesisError: the model named no usable plan.
        """
        own = self.structure.plan(parent, History(), rng, keep=True)
        failure = SynthesisError(Kind.NO_PATTERN, "no other plan was found")
        for _ in range(TRIES):
            try:
                plan = self._ask(parent, own, history, rng)
            except SynthesisError as error:
                if error.kind is Kind.MODEL:
                    raise
                failure = error
                continue
            if plan.tools not in history.plans:
                return plan
        raise failure

    def _ask(self, parent: Task, own: Plan, history: History, rng: random.Random) -> Plan:
        tools = {
            name: tool
            for name, tool in self.structure.env.tools(parent).items()
            if name not in history.blocked and name not in UNPLANNED
        }
        chains = [
            c for c in self.composites.values() if all(tool in tools for tool in c.fragment.tools)
        ]
        answer = ask(
            self.model,
            "plan",
            Planned,
            rng,
            Kind.NO_PATTERN,
            classes=parent.classes,
            queries=[turn.user for turn in base_form(parent)[0].turns],
            functions=[", ".join(turn) for turn in own.tools],
            structure=self._structure(own),
            high=[f"{c.name} - {c.describe(tools)}" for c in chains],
            low=tool_lines(tools),
            failures=[(f.kind.value, f.detail, ADVICE[f.kind]) for f in history.failures],
            blocked=sorted(history.blocked),
            narrative=self.narrative,
        )
        if len(answer.turns) != len(own.turns):
            raise SynthesisError(Kind.NO_PATTERN, f"{len(answer.turns)} turns are planned")
        turns: list[tuple[PlannedCall, ...]] = []
        for line in answer.turns:
            turns.append(self._turn(line, tools.keys(), sum(map(len, turns))))
        return Plan(
            category=own.category,
            classes=parent.classes,
            turns=tuple(turns),
            augmented=own.augmented,
            parent=parent.id,
            narrative=answer.narrative[:600] if self.narrative else "",
        )

    def _turn(self, line: str, tools: Collection[str], first: int) -> tuple[PlannedCall, ...]:
        """The calls of one turn, high-level functions expanded."""
        names = NAME.findall(line.partition(":")[2] or line)
        if not 0 < len(names) <= MAX_FUNCTIONS:
            raise SynthesisError(Kind.NO_PATTERN, f"a turn of {len(names)} functions")
        steps: list[PlannedCall] = []
        for name in names:
            if name in self.composites:
                steps += self.composites[name].steps(first + len(steps))
            elif name in tools:
                steps.append(PlannedCall((name,)))
            elif name in self.structure.graph.tools:
                raise SynthesisError(Kind.SAMPLING, f"not to be used: {name}")
            else:
                raise SynthesisError(Kind.DECOMPOSITION, f"no such function: {name[:60]}")
        return tuple(steps)

    def _structure(self, own: Plan) -> list[str]:
        """The structure that each turn must have, in words."""
        tools, phrases = self.structure.graph.tools, self.structure.graph.phrases
        lines = []
        for turn in own.turns:
            calls = [f"{tools[s.tools[0]].owner} {phrases[s.tools[0]].role}" for s in turn]
            flows = sum(bool(s.sources) for s in turn)
            rest = f"; {flows} of them use what an earlier call returned" if flows else ""
            lines.append(f"{len(turn)} calls ({', '.join(calls)}){rest}")
        return lines


@dataclass(frozen=True)
class Composite:
    """A chain of calls under one name."""

    name: str
    fragment: Fragment

    def steps(self, first: int) -> list[PlannedCall]:
        """Its calls, of which the first has a given position in the plan."""
        positions = range(first, first + len(self.fragment.tools))
        return [
            PlannedCall((tool,), self.fragment.sources(place, positions))
            for place, tool in enumerate(self.fragment.tools)
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
    """Whether values flow from each call into the last one, directly or through others."""
    last = len(fragment.tools) - 1
    reached = {last}
    for link in sorted(fragment.links, key=lambda li: -li.consumer):
        if link.consumer in reached:
            reached.add(link.producer)
    return 0 < last < MAX_CALLS and len(reached) == last + 1
