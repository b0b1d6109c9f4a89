"""The pipeline: plan -> execute -> ground -> augment -> critique, with every failure counted."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rods.envs.base import Environment
from rods.profile import Link, find_links
from rods.reward import gold_trace
from rods.synthesis.augment import augment
from rods.synthesis.critique import Critic
from rods.synthesis.execute import Executed, SynthesisError, execute, vary_start
from rods.synthesis.ground import Visible, Wording
from rods.synthesis.plan import Plan, ToolGraph, plan_like
from rods.synthesis.values import ValueBank, ValueSource
from rods.task import Task, ToolSpec

ATTEMPTS = 3
FRESH_SEEDS = 20
FRESH_ATTEMPTS = 5  # at each seed, before another is drawn: small ones succeed more easily


@dataclass
class Program:
    """Synthesis without a model.

    Args:
        seeds: tasks to learn values, start states, transitions and flows from. Never held-out ones.
        tools: all tools of the environment by name.
        critic: the gates.
        visible: what of a response the agent gets to see.
        fits: whether the agent can carry a task at all.
    """

    env: Environment
    tools: dict[str, ToolSpec]
    seeds: Sequence[Task]
    critic: Critic
    visible: Visible = str
    fits: Callable[[Task], bool] = lambda task: True
    funnel: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.bank = ValueBank(self.seeds)
        self.graph = ToolGraph(self.tools)
        self.starts: dict[str, list[Any]] = defaultdict(list)
        self._links: dict[str, list[Link]] = {}
        for seed in self.seeds:
            links = find_links(seed.calls, gold_trace(seed, self.env).responses)
            self.graph.learn(seed, links)
            self._links[seed.id] = links
            for name, start in seed.start.items():
                self.starts[name].append(start)

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        """A verified variant with the parent's profile, or None after all attempts failed."""
        responses = gold_trace(parent, self.env).responses
        links = find_links(parent.calls, responses)
        for attempt in range(ATTEMPTS):
            keep = attempt == ATTEMPTS - 1
            plan = plan_like(parent, links, self.graph, rng, keep_tools=keep)
            task = self._attempt(plan, rng, epoch, parent)
            if task is not None:
                return task
        return None

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        """A verified new task with the structure of a random seed, tools redrawn half of the time.

        Raises:
            RuntimeError: no attempt succeeded, which means that the seeds are unusable.
        """
        for _ in range(FRESH_SEEDS):
            like = rng.choice(self.seeds)
            for _ in range(FRESH_ATTEMPTS):
                keep = rng.random() < 0.5
                plan = plan_like(like, self._links[like.id], self.graph, rng, keep_tools=keep)
                task = self._attempt(replace(plan, parent=""), rng, epoch, None)
                if task is not None:
                    return task
        raise RuntimeError("no fresh task in many attempts: the seeds are unusable")

    def compose(self, plan: Plan, start: dict[str, Any], rng: random.Random) -> Task:
        """Execute, word and augment a plan, without the gates.

        Raises:
            SynthesisError: with the cause.
        """
        executed = execute(plan, start, self.env, self.graph, self.bank, rng)
        return self.word(executed, rng)

    def word(self, executed: Executed, rng: random.Random) -> Task:
        """Executed calls as a task in words."""
        wording = Wording(executed.calls, executed.responses, self.visible, rng)
        turns, withheld = augment(executed, wording, rng)
        plan = executed.plan
        return Task(
            category=plan.category,
            classes=plan.classes,
            start=executed.start,
            turns=turns,
            withheld=withheld,
            environment=self.env.name,
            origin="program",
            parent=plan.parent,
        )

    def new_start(self, classes: Iterable[str], rng: random.Random) -> dict[str, Any]:
        return vary_start(list(classes), self.starts, rng, ValueSource(self.bank, rng))

    def _attempt(
        self, plan: Plan, rng: random.Random, epoch: int, parent: Task | None
    ) -> Task | None:
        self.funnel["tried"] += 1
        try:
            task = self.compose(plan, self.new_start(plan.classes, rng), rng)
        except SynthesisError as error:
            self.funnel[str(error)] += 1
            return None
        task = task.model_copy(update={"born": epoch})
        cause = "does not fit the agent" if not self.fits(task) else ""
        cause = cause or self.critic.review(task, parent)
        self.funnel[cause or "admitted"] += 1
        if cause:
            return None
        self.critic.known.add(task.id)
        return task
