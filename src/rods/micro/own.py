"""Tasks over tools of the user's own for the micro policy, and weights that read them.

Of each six tasks, in the file's order, the third validates and the sixth tests. The model is
pretrained on perfect episodes of the training tasks, half of the time with other words in place of
the values, so that it starts with a grammar and some copying and no more.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rods.cache import Progress, cached
from rods.config import Config
from rods.envs.base import Environment
from rods.envs.guard import GuardedEnvironment
from rods.envs.load import load_environment
from rods.envs.python import PythonEnvironment
from rods.envs.task_file import read_task_file
from rods.errors import UserError
from rods.micro.dialogues import Renaming, carries, demonstration
from rods.micro.kind import settings_of
from rods.micro.renderer import MicroRenderer, load_renderer, save_tokenizer, words_of
from rods.micro.tasks import MicroTasks, micro_pipeline
from rods.reward import trusted_trace
from rods.synthesis.critique import Critic
from rods.task import Task

PERIOD = 6  # tasks from one that validates, or tests, to the next
NOTICE = (
    "The policy is small and was pretrained on perfect episodes of the training tasks; the tests"
    " are one task in six of the file. This shows that the loop runs on these tools; how much an"
    " agent learns from them it does not show."
)


def prepare_tasks(config: Config, progress: Progress) -> MicroTasks:
    """Tasks of `environment.tasks` over the classes of `environment.name`.

    Raises:
        UserError: the classes or the tasks are unusable, a stage names a category that no task has,
            or the cache cannot be written.
    """
    settings = config.environment
    env = load_environment(settings.name, settings.bounds)
    assert isinstance(env, PythonEnvironment) and settings.tasks is not None
    path, guarded = Path(settings.tasks), _guarded(config, env)
    try:
        found = read_task_file(path, guarded, tuple(env.classes))
        config.check_categories(task.category for task in found)

        def make(folder: Path) -> dict[str, Any]:
            progress("reading the tasks", 0.0)
            texts = [text for task in found for text in _texts(task, guarded)]
            texts += [f"{tool.name} {list(tool.parameters)}" for tool in env.specs.values()]
            return save_tokenizer(folder, words_of(texts), env.specs)

        words = cached("words", [env.name, env.version, [task.id for task in found]], make)
        renderer = load_renderer(words)
        values = words_of(_values(task) for task in found)
        return _sides(path, found, values, env, guarded, renderer)
    finally:
        guarded.close()


def base_weights(config: Config, tasks: MicroTasks, progress: Progress) -> Path:
    """The `save_pretrained` folder of a model that read the training tasks; made once.

    Raises:
        UserError: the cache cannot be written.
    """
    settings, env, renderer = settings_of(config), tasks.environment, tasks.renderer

    def make(folder: Path) -> dict[str, Any]:
        from rods.micro.pretrain import make_model

        guarded = _guarded(config, env)
        try:
            examples = [demonstration(task, guarded, renderer) for task in tasks.train]
        finally:
            guarded.close()
        renaming = Renaming(renderer, words - tasks.values)
        return make_model(folder, renderer.tokenizer, settings, examples, renaming, progress)

    words = set(renderer.tokenizer.vocabulary)
    read = [sorted(words), sorted(tasks.values), [task.id for task in tasks.train]]
    return cached("own", [env.name, env.version, *read, settings.model_dump()], make) / "model"


def _guarded(config: Config, env: Environment) -> GuardedEnvironment:
    """With calls in other processes, because drawn arguments may hang a class."""
    return GuardedEnvironment(env, config.environment.limits, config.environment.bounds)


def _sides(
    path: Path,
    tasks: list[Task],
    values: set[str],
    env: PythonEnvironment,
    guarded: Environment,
    renderer: MicroRenderer,
) -> MicroTasks:
    fitting = [task for task in tasks if carries(task, guarded, renderer)]
    if len(fitting) < PERIOD:
        fit = f"{len(fitting)} of {len(tasks)} tasks fit the micro policy"
        raise UserError(f"{path}: {fit}; {PERIOD} are needed")
    left_out = {t.source: "does not fit the micro policy" for t in tasks if t not in fitting}
    fitting = [task.model_copy(update={"note": "as written"}) for task in fitting]
    train = tuple(task for i, task in enumerate(fitting) if i % PERIOD not in (2, 5))
    validation, test = tuple(fitting[2::PERIOD]), tuple(fitting[5::PERIOD])
    critic = Critic(guarded, [*validation, *test])
    pipeline = micro_pipeline(guarded, env.specs, train, critic, renderer)
    for task in train:
        critic.admit(task)
    return MicroTasks(
        *(train, validation, test, env, left_out, NOTICE, pipeline),
        renderer=renderer,
        values=frozenset(values),
    )


def _texts(task: Task, env: Environment) -> list[str]:
    responses = [r[:200] for turn in trusted_trace(task, env).responses for r in turn]
    return [*(turn.user for turn in task.turns), *responses, _values(task)]


def _values(task: Task) -> str:
    return json.dumps([[call.arguments for call in task.calls], task.start])
