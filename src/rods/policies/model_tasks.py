"""The tasks of a model: the benchmark's in their own words, or the user's own.

A task whose first prompt leaves no token of `rollout.token_budget` is never cut. It is left out of
training and validation, it counts as failed in the test, and it is named in either case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rods.cache import Progress
from rods.config import Config
from rods.envs.base import Environment
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import CATEGORIES, tool_specs
from rods.errors import UserError
from rods.policies.causal_model import load_writer
from rods.policies.model import settings_of
from rods.policies.tasks import TaskSides, benchmark_sides, critic_of, own_tasks, split_own
from rods.renderers.chat import ChatRenderer
from rods.reward import NO_TRACE
from rods.rollout.episode import Ending, Episode
from rods.rollout.renderer import Renderer
from rods.synthesis.program import program_pipeline
from rods.task import Task, ToolSpec

SHOWN = 3  # names in a notice


@dataclass(frozen=True, kw_only=True)
class ModelTasks(TaskSides):
    """Tasks with the tokenizer and the renderer that they were measured with."""

    tokenizer: Any
    renderer: ChatRenderer


def benchmark(config: Config, progress: Progress) -> ModelTasks:
    """The benchmark's tasks.

    Raises:
        UserError: the tokenizer is unusable, a stage names another category, or no training task
            fits.
    """
    config.check_categories(CATEGORIES)
    sides, left_out = benchmark_sides()
    return _fitting(config, BfclEnvironment(), tool_specs(), sides, left_out, progress)


def own(config: Config, progress: Progress) -> ModelTasks:
    """Tasks of `environment.tasks` over the classes of `environment.name`.

    Raises:
        UserError: the tokenizer, the classes or the tasks are unusable, or no training task fits.
    """
    with own_tasks(config) as found:
        sides = split_own(found, found.tasks, "a run")
        made = _fitting(config, found.guarded, found.environment.specs, sides, {}, progress)
        return replace(made, environment=found.environment)


def prompt_tokens(task: Task, env: Environment, renderer: Renderer) -> int:
    """Tokens before the first action. No session is opened."""
    episode = Episode(task, env, NO_TRACE, ending=Ending.TOKEN_BUDGET)
    return len(renderer.begin(episode.conversation))


def _fitting(
    config: Config,
    env: Environment,
    tools: Mapping[str, ToolSpec],
    sides: Mapping[str, Sequence[Task]],
    left_out: Mapping[str, str],
    progress: Progress,
) -> ModelTasks:
    tokenizer, renderer = load_writer(settings_of(config))
    budget, lengths = config.rollout.token_budget, dict[str, int]()
    every = [task for tasks in sides.values() for task in tasks]
    for place, task in enumerate(every):
        progress("reading the tasks", place / len(every))
        lengths[task.id] = prompt_tokens(task, env, renderer)
    long = {task.id: task.label for task in every if lengths[task.id] >= budget}
    kept = {side: tuple(t for t in sides[side] if t.id not in long) for side in sides}
    train, validation, test = kept["train"], kept["validation"], tuple(sides["test"])
    if not train:
        least = min(lengths[task.id] for task in sides["train"])
        message = f"no training task fits; the shortest prompt has {least} tokens"
        raise UserError(f"rollout.token_budget: {budget}: {message}")
    why = {long[i]: f"its prompt has {n} tokens" for i, n in lengths.items() if i in long}
    pipeline = program_pipeline(
        env,
        tools,
        train,
        critic_of(env, train, [*validation, *test]),
        fits=lambda task: prompt_tokens(task, env, renderer) < budget,
    )
    return ModelTasks(
        *(train, validation, test, env, {**left_out, **why}),
        notice=_notice([*why], len(test) - len(kept["test"]), budget),
        pipeline=pipeline,
        tokenizer=tokenizer,
        renderer=renderer,
    )


def _notice(names: Sequence[str], failed: int, budget: int) -> str:
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    long = f"The prompts of {len(names)} tasks do not fit rollout.token_budget = {budget}"
    return f"{long} ({', '.join(names[:SHOWN])}{more}); {failed} of them count as failed tests."
