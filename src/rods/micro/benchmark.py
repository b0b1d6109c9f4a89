"""The benchmark's tasks for the micro policy, and the weights that know the benchmark's tools."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
from itertools import islice
from pathlib import Path
from typing import Any

from rods.cache import Progress, cached, code_digest
from rods.config import Config
from rods.envs.base import Environment
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import CATEGORIES, benchmark_tasks, split, tool_specs
from rods.micro.dialogues import Example, Renaming, phrase_words, short_dialogues
from rods.micro.kind import MicroSettings, settings_of
from rods.micro.renderer import TOKENIZER, load_renderer, save_tokenizer, words_of
from rods.micro.tasks import MicroTasks, load_tasks, realise_benchmark, save_tasks, training_side
from rods.reward import trusted_trace
from rods.synthesis.near import signature

CHUNK = 500
SETTINGS = "settings.json"
SHIPPED = Path(__file__).parent / "shipped"


def prepare_tasks(config: Config, progress: Progress) -> MicroTasks:
    """The benchmark's tasks in the words of the tokenizer.

    Raises:
        UserError: a stage names another category, or the cache cannot be written.
    """
    config.check_categories(CATEGORIES)
    env = BfclEnvironment()
    words = _words(env, progress)
    folder = _realised(env, words, settings_of(config).indices, progress)
    return load_tasks(folder, env, load_renderer(words))


def base_weights(config: Config, tasks: MicroTasks, progress: Progress) -> Path:
    """The `save_pretrained` folder of a model that read short dialogues in the benchmark's tools.

    The model of the preset "micro" is part of the package; others are pretrained and cached.

    Raises:
        UserError: the cache cannot be written.
    """
    settings, env = settings_of(config), tasks.environment

    def make(folder: Path) -> dict[str, Any]:
        return make_policy(folder, _words(env, progress), settings, progress)

    if found := shipped(settings, env.version):
        return found / "model"
    return cached("micro", [policy_key(settings, env.version), code_digest()], make) / "model"


def make_tokenizer(folder: Path) -> dict[str, Any]:
    """Write the benchmark's tokenizer into a folder; returns its size."""
    return save_tokenizer(folder, vocabulary(BfclEnvironment()), tool_specs())


def make_policy(
    folder: Path, words: Path, settings: MicroSettings, progress: Progress
) -> dict[str, Any]:
    """Pretrain a model into `folder/model`; returns its size, its data and its last loss.

    Args:
        words: the folder of its tokenizer.
    """
    from rods.micro.pretrain import make_model

    tasks = _realised(BfclEnvironment(), words, settings.indices, progress)
    examples = _dialogues(words, tasks, settings, progress)
    renderer = load_renderer(words)
    renaming = Renaming(renderer, phrase_words())
    return make_model(folder, renderer.tokenizer, settings, examples, renaming, progress)


def shipped(settings: MicroSettings, version: str) -> Path | None:
    """The folder of the policy that comes with the package, if it was made with these settings.

    `experiments/micro_policy.py` makes it.
    """
    return SHIPPED if _shipped_key() == policy_key(settings, version) else None


def policy_key(settings: MicroSettings, version: str) -> dict[str, Any]:
    """What the weights depend on.

    Args:
        version: of the benchmark's tools.
    """
    return {"tools": version, **settings.model_dump(exclude={"name"})}


def _shipped_key() -> Any:
    return json.loads((SHIPPED / SETTINGS).read_text("utf-8"))


def _words(env: Environment, progress: Progress) -> Path:
    """The folder of the tokenizer; it depends on the benchmark's tools alone."""

    def make(folder: Path) -> dict[str, Any]:
        progress("collecting words", 0.0)
        return make_tokenizer(folder)

    if _shipped_key()["tools"] == env.version:
        return SHIPPED
    return cached("words", [env.version, code_digest()], make)


def _realised(env: Environment, words: Path, indices: int, progress: Progress) -> Path:
    """The folder of the benchmark's tasks in the words of a tokenizer."""

    def make(folder: Path) -> dict[str, Any]:
        progress("realising the benchmark's tasks", 0.0)
        tasks = realise_benchmark(env, load_renderer(words), indices)
        save_tasks(folder, tasks)
        return tasks.counts()

    digest = hashlib.sha256((words / TOKENIZER).read_bytes()).hexdigest()
    return cached("tasks", [env.version, digest, indices, code_digest()], make)


def vocabulary(env: Environment) -> set[str]:
    """Words of the phrase catalogue, of the training side's responses and of all 800 tasks'
    argument values: a lexicon, no task."""
    texts = list(phrase_words())
    texts += [json.dumps(c.arguments) for t in benchmark_tasks().values() for c in t.calls]
    texts += [f"{name} {list(t.parameters)}" for name, t in tool_specs().items()]
    training = [t for n, t in benchmark_tasks().items() if split()[n] == "train"]
    texts += [r[:200] for t in training for turn in trusted_trace(t, env).responses for r in turn]
    return words_of(texts)


def _dialogues(
    words: Path, tasks: Path, settings: MicroSettings, progress: Progress
) -> list[Example]:
    count = settings.dialogues
    chunks = [
        (str(words), str(tasks), settings.longer, settings.seed, i, min(CHUNK, count - i))
        for i in range(0, count, CHUNK)
    ]
    examples: list[Example] = []
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(2, os.cpu_count() or 1)) as pool:
        for chunk in pool.imap(_chunk, chunks):
            examples += chunk
            progress("making short dialogues", len(examples) / count)
    return examples


_WORKER: dict[str, Any] = {}  # what a worker process loads once, for all its chunks


def _chunk(job: tuple[str, str, float, int, int, int]) -> list[Example]:
    words, place, longer, seed, index, count = job
    if not _WORKER:
        renderer = load_renderer(Path(words))
        env = BfclEnvironment()
        tasks = load_tasks(Path(place), env, renderer)
        every = (*tasks.train, *tasks.validation, *tasks.test)
        _WORKER.update(
            renderer=renderer,
            program=training_side(env, renderer).program,
            forbidden={signature(t) for t in every},
        )
    program, renderer = _WORKER["program"], _WORKER["renderer"]
    rng = random.Random(f"dialogues {seed} {index}")
    stream = short_dialogues(program, renderer, _WORKER["forbidden"], longer, rng)
    return list(islice(stream, count))
