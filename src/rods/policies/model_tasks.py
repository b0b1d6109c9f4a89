"""The tasks of a model: the benchmark's in their own words, or the user's own.

A task whose first prompt leaves no token of `rollout.token_budget` is never cut. It is left out of
training and validation, it counts as failed in the test, and it is named in either case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

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
from rods.synthesis.meaning.learned import learned_from
from rods.synthesis.pipeline import Pipeline
from rods.synthesis.program import program_pipeline
from rods.task import Task, ToolSpec

SHOWN = 3  # names in a notice


@dataclass(frozen=True, kw_only=True)
class ModelTasks(TaskSides):
    """Tasks with the tokenizer and the renderer that they were measured with."""

    tokenizer: Any
    renderer: ChatRenderer


class Sides(NamedTuple):
    """The tasks of a run by side, before any is measured.

    Attributes:
        playing: the environment in which they can be played: the user's own tools are guarded.
        environment: the same tools in this process.
        tools: by name.
        left_out: names of tasks with faults, with the reason.
    """

    playing: Environment
    environment: Environment
    tools: Mapping[str, ToolSpec]
    sides: Mapping[str, Sequence[Task]]
    left_out: Mapping[str, str]


@contextmanager
def read_sides(config: Config) -> Iterator[Sides]:
    """The benchmark's tasks, or those of `environment.tasks` over the user's own classes.

    Raises:
        UserError: the classes or the tasks are unusable, or a stage names another category.
    """
    if config.environment.tasks is None:
        config.check_categories(CATEGORIES)
        env = BfclEnvironment()
        yield Sides(env, env, tool_specs(), *benchmark_sides())
        return
    with own_tasks(config) as found:
        own, sides = found.environment, split_own(found, found.tasks, "a run")
        yield Sides(found.guarded, own, own.specs, sides, {})


def model_tasks(config: Config, progress: Progress) -> ModelTasks:
    """The tasks of a run with a model.

    Raises:
        UserError: the tokenizer, the classes or the tasks are unusable, or no training task fits.
    """
    with read_sides(config) as found:
        made = _fitting(config, found, progress)
        return replace(made, environment=found.environment)


def prompt_tokens(task: Task, env: Environment, renderer: Renderer) -> int:
    """Tokens before the first action. No session is opened."""
    episode = Episode(task, env, NO_TRACE, ending=Ending.TOKEN_BUDGET)
    return len(renderer.begin(episode.conversation))


def _fitting(config: Config, found: Sides, progress: Progress) -> ModelTasks:
    env, sides = found.playing, found.sides
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
        raise too_small(budget, min(lengths[task.id] for task in sides["train"]))
    why = {long[i]: f"its prompt has {n} tokens" for i, n in lengths.items() if i in long}

    def pipeline_from(sources: Sequence[Task]) -> Pipeline:
        learned = learned_from(sources, env, found.tools)
        critic = critic_of(env, train, [*validation, *test], learned)
        return program_pipeline(
            env,
            found.tools,
            sources,
            critic,
            fits=lambda task: prompt_tokens(task, env, renderer) < budget,
        )

    return ModelTasks(
        *(train, validation, test, env, {**found.left_out, **why}),
        notice=_notice([*why], len(test) - len(kept["test"]), budget),
        pipeline_from=pipeline_from,
        tokenizer=tokenizer,
        renderer=renderer,
    )


def too_small(budget: int, least: int) -> UserError:
    """The error where no training task fits the budget; the shortest prompt has `least` tokens."""
    message = f"no training task fits; the shortest prompt has {least} tokens"
    return UserError(f"rollout.token_budget: {budget}: {message}")


def _notice(names: Sequence[str], failed: int, budget: int) -> str:
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    long = f"The prompts of {len(names)} tasks do not fit rollout.token_budget = {budget}"
    return f"{long} ({', '.join(names[:SHOWN])}{more}); {failed} of them count as failed tests."
