"""Tasks over tools of the user's own for the micro policy, and weights that read them.

Of each six tasks, in the file's order, the third validates and the sixth tests. The model is
pretrained on perfect episodes of the training tasks, half of the time with other words in place of
the values, so that it starts with a grammar and some copying and no more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rods.cache import Progress, cached, code_digest
from rods.config import Config
from rods.envs.base import Environment
from rods.envs.guard import guard
from rods.micro.dialogues import Renaming, carries, demonstration
from rods.micro.kind import settings_of
from rods.micro.renderer import MicroRenderer, load_renderer, save_tokenizer, words_of
from rods.micro.tasks import MicroTasks, micro_pipeline
from rods.policies.tasks import OwnTasks, critic_of, own_tasks, split_own
from rods.reward import trusted_trace
from rods.synthesis.meaning.learned import learned_from
from rods.synthesis.pipeline import Pipeline
from rods.task import Task

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
    with own_tasks(config) as own:

        def make(folder: Path) -> dict[str, Any]:
            progress("reading the tasks", 0.0)
            texts = [text for task in own.tasks for text in _texts(task, own.guarded)]
            texts += [f"{t.name} {list(t.parameters)}" for t in own.environment.specs.values()]
            return save_tokenizer(folder, words_of(texts), own.environment.specs)

        env = own.environment
        read = [task.id for task in own.tasks]
        words = cached("words", [env.name, env.version, read, code_digest()], make)
        return _sides(own, load_renderer(words))


def base_weights(config: Config, tasks: MicroTasks, progress: Progress) -> Path:
    """The `save_pretrained` folder of a model that read the training tasks; made once.

    Raises:
        UserError: the cache cannot be written.
    """
    settings, env, renderer = settings_of(config), tasks.environment, tasks.renderer

    def make(folder: Path) -> dict[str, Any]:
        from rods.micro.pretrain import make_model

        guarded = guard(env, config.environment.limits, config.environment.bounds)
        try:
            examples = [demonstration(task, guarded, renderer) for task in tasks.train]
        finally:
            guarded.close()
        renaming = Renaming(renderer, words - tasks.values)
        return make_model(folder, renderer.tokenizer, settings, examples, renaming, progress)

    words = set(renderer.tokenizer.vocabulary)
    read = [sorted(words), sorted(tasks.values), [task.id for task in tasks.train]]
    key = [env.name, env.version, *read, settings.model_dump(), code_digest()]
    return cached("own", key, make) / "model"


def _sides(own: OwnTasks, renderer: MicroRenderer) -> MicroTasks:
    env, guarded = own.environment, own.guarded
    fitting = [task for task in own.tasks if carries(task, guarded, renderer)]
    left_out = {t.source: "does not fit the micro policy" for t in own.tasks if t not in fitting}
    fitting = [task.model_copy(update={"note": "as written"}) for task in fitting]
    sides = split_own(own, fitting, "the micro policy")
    train, held_out = sides["train"], (*sides["validation"], *sides["test"])

    def pipeline_from(sources: Sequence[Task]) -> Pipeline:
        learned = learned_from(sources, guarded, env.specs)
        critic = critic_of(guarded, train, held_out, learned)
        return micro_pipeline(guarded, env.specs, sources, critic, renderer)

    return MicroTasks(
        **sides,
        environment=env,
        left_out=left_out,
        notice=NOTICE,
        pipeline_from=pipeline_from,
        renderer=renderer,
        values=frozenset(words_of(_values(task) for task in own.tasks)),
    )


def _texts(task: Task, env: Environment) -> list[str]:
    responses = [r[:200] for turn in trusted_trace(task, env).responses for r in turn]
    return [task.system, *(turn.user for turn in task.turns), *responses, _values(task)]


def _values(task: Task) -> str:
    return json.dumps([[call.arguments for call in task.calls], task.start])
