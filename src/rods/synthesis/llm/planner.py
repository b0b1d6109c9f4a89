"""Stage I by a model: a story first, then the functions of each turn.

As in the paper the model sees the parent's classes, queries and functions, high-level functions
before bottom-level ones, and all earlier failures with advice. High-level functions are chains of
calls in which values flow; the system expands them into calls.

Departure from the paper: the prompt describes turn by turn the structure that must be kept, since
the gates will measure it.

Open in the paper: the catalogue of high-level functions. This one is learned from the fragments of
the seed tasks: a fragment in which values flow from each call into the last one becomes a function.
So the user's own environments have such functions too.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from rods.synthesis.augment import base_form
from rods.synthesis.failures import ADVICE, History, Kind, SynthesisError
from rods.synthesis.llm.forms import Planned
from rods.synthesis.llm.prompts import Model, ask
from rods.synthesis.llm.refusals import UNREADABLE, Refusal, Refusals
from rods.synthesis.llm.tool_text import ToolText
from rods.synthesis.plan import TRIES, ProgramPlanner
from rods.synthesis.stages import Plan, PlannedCall
from rods.synthesis.toolgraph import UNPLANNED, Fragment, ToolGraph
from rods.task import Task, ToolSpec

NAME = re.compile(r"[A-Za-z_][\w.]*")
ARGUMENTS = re.compile(r"\([^()]*\)")
MAX_CALLS = 4  # of a high-level function
MAX_FUNCTIONS = 12  # of a turn, high-level ones counted once


@dataclass
class LlmPlanner:
    """Plans by a model.

    Args:
        structure: plans by program, which show what of the parent must be kept.
        text: writes the tools into the prompts.
        tries: how often a plan is asked for until one is usable and new.
        narrative: whether a story is asked for (the paper's ablation leaves it out).
    """

    model: Model
    structure: ProgramPlanner
    text: ToolText
    tries: int = TRIES
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
        failure = SynthesisError(Kind.NO_PATTERN, "no try")
        refused: Refusals = []
        for _ in range(self.tries):
            words = UNREADABLE
            try:
                answer = self._ask(parent, own, history, refused, rng)
                words = " | ".join(answer.turns)
                plan = self._plan(answer, parent, own, history)
                if plan.tools not in history.plans:
                    return plan
                failure = SynthesisError(Kind.NO_PATTERN, "this plan was tried before")
            except SynthesisError as error:
                if error.kind is Kind.MODEL:
                    raise
                failure = error
            refused.append(Refusal(words, failure.detail))
        raise failure

    def _tools(self, parent: Task, history: History) -> dict[str, ToolSpec]:
        """The tools that a plan may use."""
        return {
            name: tool
            for name, tool in self.structure.env.tools(parent).items()
            if name not in history.blocked and name not in UNPLANNED
        }

    def _ask(
        self, parent: Task, own: Plan, history: History, refused: Refusals, rng: random.Random
    ) -> Planned:
        tools = self._tools(parent, history)
        chains = [
            c for c in self.composites.values() if all(tool in tools for tool in c.fragment.tools)
        ]
        return ask(
            self.model,
            "plan",
            Planned,
            rng,
            Kind.NO_PATTERN,
            system=parent.system,
            classes=parent.classes,
            queries=[turn.user for turn in base_form(parent)[0].turns],
            functions=[", ".join(turn) for turn in own.tools],
            structure=self._structure(own),
            high=[f"{c.name} - {c.describe(tools)}" for c in chains],
            low=self.text.lines(tools),
            failures=[(f.kind.value, f.detail, ADVICE[f.kind]) for f in history.failures],
            blocked=sorted(history.blocked),
            narrative=self.narrative,
            refused=refused,
        )

    def _plan(self, answer: Planned, parent: Task, own: Plan, history: History) -> Plan:
        """The plan in an answer.

        Raises:
            SynthesisError: it is no usable one.
        """
        if len(answer.turns) != len(own.turns):
            wrong = f"{len(answer.turns)} turns are planned, and there must be {len(own.turns)}"
            raise SynthesisError(Kind.NO_PATTERN, wrong)
        tools = self._tools(parent, history)
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
        known = self.structure.graph.tools
        classes = {tool.owner for tool in known.values()}
        names = planned_names(line, {*known, *self.composites}, classes)
        if not 0 < len(names) <= MAX_FUNCTIONS:
            raise SynthesisError(Kind.NO_PATTERN, f"a turn of {len(names)} functions")
        steps: list[PlannedCall] = []
        for name in names:
            if name in self.composites:
                steps += self.composites[name].steps(first + len(steps))
            elif name in tools:
                steps.append(PlannedCall((name,)))
            elif name in known:
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


def planned_names(line: str, known: Collection[str], classes: Collection[str]) -> list[str]:
    """The functions in a line of a plan, such as "Shop: find, Shop.cancel(order_id)".

    Signatures, arguments and class names are left out, and what is no function after a dash, where
    models repeat the description.
    """
    while (bare := ARGUMENTS.sub(" ", line)) != line:
        line = bare
    line = line.partition("(")[0]  # a signature without its end
    line = line.partition(":")[2] or line
    planned, dash, described = line.partition(" - ")
    names = [name.strip(".").rpartition(".")[2] for name in NAME.findall(planned)]
    more = [name for name in NAME.findall(described) if dash and name in known]
    return [name for name in (*names, *more) if name in known or name not in classes]


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
