"""What a run on tools of the user's own starts from: their tasks, and a policy that read them.

Of each six tasks, in the file's order, the third validates and the sixth tests. The policy is
pretrained on perfect episodes of the training tasks, half of the time with other words in place of
the values, so that it has a grammar and some copying to start from and no more.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from rods.config import Config
from rods.envs.base import Environment
from rods.envs.guard import GuardedEnvironment
from rods.envs.load import load_environment
from rods.envs.python import PythonEnvironment
from rods.envs.task_file import read_task_file
from rods.errors import UserError
from rods.micro.base_policy import Prepared, make_base
from rods.micro.cache import Progress, cached
from rods.micro.dialogues import Renaming
from rods.micro.renderer import MicroRenderer, build_tokenizer, words_of
from rods.micro.tasks import MicroTasks, carries, demonstration
from rods.micro.tokenizer import MicroTokenizer
from rods.reward import trusted_trace
from rods.synthesis.critique import Critic
from rods.synthesis.pipeline import Pipeline
from rods.synthesis.program import program_pipeline
from rods.task import Task

LEAST = 6
NOTICE = (
    "The policy is small and was pretrained on perfect episodes of the training tasks; the tests"
    " are one task in six of the file. This shows that the loop runs on these tools; how much an"
    " agent learns from them it does not show."
)


def prepare_own(config: Config, progress: Progress = lambda what, share: None) -> Prepared:
    """Tasks of `environment.tasks` over the classes of `environment.name`.

    Raises:
        UserError: the classes or the tasks are unusable, a stage names a category that no task has,
            or the cache cannot be written.
    """
    settings = config.environment
    env = load_environment(settings.name, settings.bounds)
    assert isinstance(env, PythonEnvironment) and settings.tasks is not None
    path = Path(settings.tasks)
    guarded = GuardedEnvironment(env, settings.limits, settings.bounds)
    try:
        tasks = read_task_file(path, guarded, tuple(env.classes))
        config.check_categories(task.category for task in tasks)
        tools = {name: method.spec for name, method in env.methods.items()}

        def make(folder: Path) -> dict[str, Any]:
            progress("reading the tasks", 0.0)
            texts = [text for task in tasks for text in _texts(task, guarded)]
            words = words_of([*texts, *(f"{t.name} {list(t.parameters)}" for t in tools.values())])
            tokenizer = build_tokenizer(words, tools)
            tokenizer.save(folder / "tokenizer.json")
            renderer = MicroRenderer(tokenizer)
            sides = _sides(tasks, guarded, renderer, path)
            examples = [demonstration(task, guarded, renderer) for task in sides.train]
            values = words_of(_values(task) for task in tasks)
            renaming = Renaming(renderer, words - values)
            return make_base(folder, tokenizer, config.micro, examples, renaming, progress)

        ids = [task.id for task in tasks]
        folder = cached("own", [env.name, env.version, ids, config.micro.model_dump()], make)
        renderer = MicroRenderer(MicroTokenizer.load(folder / "tokenizer.json"))
        sides = _sides(tasks, guarded, renderer, path)
        sides = replace(sides, pipeline=_pipeline(sides, env, guarded, renderer))
        return Prepared(env, renderer, sides, folder / "model", NOTICE)
    finally:
        guarded.close()


def _sides(tasks: list[Task], env: Environment, renderer: MicroRenderer, path: Path) -> MicroTasks:
    fitting = [task for task in tasks if carries(task, env, renderer)]
    if len(fitting) < LEAST:
        raise UserError(
            f"{path}: {len(fitting)} of {len(tasks)} tasks fit the micro policy; {LEAST} are needed"
        )
    left_out = {t.source: "does not fit the micro policy" for t in tasks if t not in fitting}
    fitting = [task.model_copy(update={"note": "as written"}) for task in fitting]
    train = [task for i, task in enumerate(fitting) if i % LEAST not in (2, 5)]
    return MicroTasks(tuple(train), tuple(fitting[2::LEAST]), tuple(fitting[5::LEAST]), left_out)


def _pipeline(
    sides: MicroTasks, env: PythonEnvironment, guarded: Environment, renderer: MicroRenderer
) -> Pipeline:
    """Synthesis from the training tasks; drawn arguments may hang a class, so calls are guarded."""

    def fits(task: Task) -> bool:
        return carries(task, guarded, renderer)

    def visible(text: str) -> str:
        return renderer.tokenizer.decode(renderer.observe(text))

    tools = {name: method.spec for name, method in env.methods.items()}
    critic = Critic(guarded, [*sides.validation, *sides.test])
    pipeline = program_pipeline(guarded, tools, sides.train, critic, visible, fits)
    for task in sides.train:
        critic.admit(task)
    return pipeline


def _texts(task: Task, env: Environment) -> list[str]:
    responses = [r[:200] for turn in trusted_trace(task, env).responses for r in turn]
    return [*(turn.user for turn in task.turns), *responses, _values(task)]


def _values(task: Task) -> str:
    return json.dumps([[call.arguments for call in task.calls], task.start])
