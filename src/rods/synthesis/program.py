"""Synthesis without a model: all stages by program, from what the training seeds show."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rods.envs.base import Environment
from rods.synthesis.augment import augment
from rods.synthesis.critique import Critic
from rods.synthesis.draft import Executed, Plan
from rods.synthesis.execute import execute
from rods.synthesis.failures import History, SynthesisError
from rods.synthesis.ground import ProgramGrounder
from rods.synthesis.pipeline import Pipeline
from rods.synthesis.plan import ProgramPlanner
from rods.synthesis.references import Visible
from rods.synthesis.start import Starts
from rods.synthesis.story import PlainVoice, Voice
from rods.synthesis.toolgraph import ToolGraph
from rods.synthesis.values import ValueBank, ValueSource
from rods.task import Task, ToolSpec

FRESH_SEEDS = 20
FRESH_ATTEMPTS = 5  # at each seed, before another is drawn: small ones succeed more easily


@dataclass
class ProgramExecutor:
    """Start states and calls by program."""

    env: Environment
    graph: ToolGraph
    bank: ValueBank
    starts: Starts

    def execute(self, plan: Plan, history: History, rng: random.Random) -> Executed:
        start, source = self.draw(plan, rng)
        return execute(plan, start, self.env, self.graph, source)

    def draw(self, plan: Plan, rng: random.Random) -> tuple[dict[str, Any], ValueSource]:
        """A start state for a plan, and where values for it come from."""
        source = ValueSource(self.bank, self.graph.phrases, rng)
        tools = {name for turn in plan.tools for name in turn}
        start, source.near = self.starts.draw(plan.classes, tools, source)
        return start, source

    def execute_from(self, plan: Plan, start: dict[str, object], rng: random.Random) -> Executed:
        """The plan carried out in a given start state."""
        source = ValueSource(self.bank, self.graph.phrases, rng)
        return execute(plan, start, self.env, self.graph, source)


class Program:
    """The pipeline with all stages by program.

    Args:
        tools: all tools of the environment by name.
        seeds: tasks to learn values, start states, transitions and flows from. Never held-out ones.
        critic: the gates.
        visible: what of a response the agent gets to see.
        fits: whether the agent can carry a task at all.
        voice: how the user speaks.
    """

    def __init__(
        self,
        env: Environment,
        tools: Mapping[str, ToolSpec],
        seeds: Sequence[Task],
        critic: Critic,
        visible: Visible = str,
        fits: Callable[[Task], bool] = lambda task: True,
        voice: Voice | None = None,
    ) -> None:
        self.env, self.tools, self.seeds = env, tools, seeds
        self.graph = ToolGraph(tools)
        self.bank = ValueBank(seeds, self.graph.phrases)
        self.planner = ProgramPlanner(env, self.graph, critic.limits.turns)
        for seed in seeds:
            self.planner.learn(seed)
        starts = Starts(seeds, {name: tool.owner for name, tool in tools.items()})
        self.executor = ProgramExecutor(env, self.graph, self.bank, starts)
        self.grounder = ProgramGrounder(self.graph.phrases, voice or PlainVoice(), visible)
        self.pipeline = Pipeline(self.planner, self.executor, self.grounder, critic, fits)
        self.funnel, self.fits = self.pipeline.funnel, fits

    @property
    def critic(self) -> Critic:
        return self.pipeline.critic

    @critic.setter
    def critic(self, critic: Critic) -> None:
        self.pipeline.critic = critic

    def learn(self, task: Task) -> None:
        """From now on the task counts among those that exist."""
        self.critic.admit(task)

    def forget(self, task_ids: Collection[str]) -> None:
        """These tasks do not exist any more."""
        self.critic.forget(task_ids)

    def take_failures(self) -> list[dict[str, Any]]:
        """See `Pipeline.take_failures`."""
        return self.pipeline.take_failures()

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        """A verified variant with the parent's profile, or None after all attempts failed."""
        return self.pipeline.vary(parent, rng, epoch)

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        """A verified new task with the structure of a random seed, tools redrawn half of the time.

        Raises:
            RuntimeError: no attempt succeeded, which means that the seeds are unusable.
        """
        for _ in range(FRESH_SEEDS):
            like = rng.choice(self.seeds)
            for _ in range(FRESH_ATTEMPTS):
                keep = rng.random() < 0.5
                self.funnel["tried"] += 1
                try:
                    plan = self.planner.plan(like, History(), rng, keep=keep)
                    task = self.pipeline.finish(replace(plan, parent=""), None, History(), rng)
                except SynthesisError as failure:
                    self.funnel[failure.cause] += 1
                    continue
                self.funnel["admitted"] += 1
                self.critic.admit(task)
                return task.model_copy(update={"born": epoch})
        raise RuntimeError("no fresh task in many attempts: the seeds are unusable")

    def compose(
        self, plan: Plan, rng: random.Random, start: dict[str, object] | None = None
    ) -> Task:
        """Execute, word and augment a plan, without the gates.

        Args:
            start: the start state; drawn from the seeds' if it is not given.

        Raises:
            SynthesisError: with the cause.
        """
        if start is None:
            return self.word(self.executor.execute(plan, History(), rng), rng)
        return self.word(self.executor.execute_from(plan, start, rng), rng)

    def word(self, executed: Executed, rng: random.Random) -> Task:
        """Executed calls as a task in words."""
        return augment(executed, self.grounder.ground(executed, rng), self.env.name, rng)
