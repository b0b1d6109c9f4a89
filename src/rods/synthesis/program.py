"""Synthesis without a model: all stages by program, learned from the seed tasks."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rods.envs.base import Environment
from rods.synthesis.augment import augment
from rods.synthesis.critique import Critic
from rods.synthesis.execute import ProgramExecutor
from rods.synthesis.failures import History
from rods.synthesis.ground import ProgramGrounder
from rods.synthesis.meaning.learned import Learned
from rods.synthesis.pipeline import Pipeline
from rods.synthesis.plan import ProgramPlanner
from rods.synthesis.speech import Visible
from rods.synthesis.stages import Executed, Plan
from rods.synthesis.start import StartStates
from rods.synthesis.story import PlainVoice, Voice
from rods.synthesis.toolgraph import ToolGraph
from rods.synthesis.values import ValueBank
from rods.task import Task, ToolSpec


class ProgramStages:
    """The stages by program, which learn from the same seed tasks.

    Args:
        tools: all tools of the environment by name.
        seeds: seed tasks, never held-out ones. Values, start states, transitions and flows are
            learned from them.
        turns: the most that a task may have.
        visible: returns the part of a response that the agent sees.
        voice: how the user speaks.
        learned: what the seed tasks show about values; by default nothing.
        walks: more calls to learn from where there are few seed tasks: tasks without words, see
            `cold.few`.
    """

    def __init__(
        self,
        env: Environment,
        tools: Mapping[str, ToolSpec],
        seeds: Sequence[Task],
        turns: int,
        visible: Visible = str,
        voice: Voice | None = None,
        learned: Learned | None = None,
        walks: Sequence[Task] = (),
    ) -> None:
        learned, known = learned or Learned(tools), (*seeds, *walks)
        self.env, self.seeds = env, seeds
        self.graph = ToolGraph(tools, any_role=bool(walks))
        self.bank = ValueBank(known, self.graph.phrases)
        self.planner = ProgramPlanner(env, self.graph, turns)
        for task in known:
            self.planner.learn(task)
        owners = {name: tool.owner for name, tool in tools.items()}
        starts = StartStates(known, owners, learned.equalities)
        self.executor = ProgramExecutor(env, self.graph, self.bank, starts, learned)
        self.grounder = ProgramGrounder(self.graph.phrases, voice or PlainVoice(), visible)

    def compose(self, plan: Plan, rng: random.Random, start: dict[str, Any] | None = None) -> Task:
        """Execute, ground and augment a plan, without the gates.

        Args:
            start: the start state; by default drawn from those of the seed tasks.

        Raises:
            SynthesisError: with the cause.
        """
        if start is None:
            return self.word(self.executor.execute(plan, History(), rng), rng)
        return self.word(self.executor.execute_from(plan, start, rng), rng)

    def word(self, executed: Executed, rng: random.Random) -> Task:
        """Ground and augment executed calls.

        Raises:
            SynthesisError: with the cause.
        """
        return augment(executed, self.grounder.ground(executed, rng), self.env.name, rng)


def program_pipeline(
    env: Environment,
    tools: Mapping[str, ToolSpec],
    seeds: Sequence[Task],
    critic: Critic,
    visible: Visible = str,
    fits: Callable[[Task], bool] = lambda task: True,
    voice: Voice | None = None,
    walks: Sequence[Task] = (),
) -> Pipeline:
    """The pipeline with all stages by program; see `ProgramStages`.

    Args:
        critic: the gates; what it has learned of the seed tasks' values is also used to make some.
        fits: whether a task fits the agent's limits, such as its context.
    """
    turns, learned = critic.limits.turns, critic.learned
    stages = ProgramStages(env, tools, seeds, turns, visible, voice, learned, walks)
    critic.know(stages.planner.profiles)
    return Pipeline(stages, critic, stages.planner, stages.executor, stages.grounder, fits)
