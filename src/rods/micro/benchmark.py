"""What a run on the benchmark starts from: realised tasks and a policy that knows its tools."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
from itertools import islice
from pathlib import Path
from typing import Any

from rods.config import MicroPolicyConfig as PolicyConfig
from rods.envs.base import Environment
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, split, tool_specs
from rods.micro.base_policy import Example, Prepared, make_base
from rods.micro.cache import Progress, cached
from rods.micro.dialogues import Renaming, phrase_words, short_dialogues
from rods.micro.renderer import MicroRenderer, build_tokenizer, words_of
from rods.micro.tasks import load_tasks, realise_benchmark
from rods.micro.tokenizer import MicroTokenizer
from rods.reward import trusted_trace
from rods.synthesis.near import signature

CHUNK = 500
TOKENIZER = "tokenizer.json"
SETTINGS = "settings.json"
SHIPPED = Path(__file__).parent / "shipped"
NOTICE = (
    "The tasks are the benchmark's worlds, tools and turn structure with compact templated user"
    " text, for a small policy that was trained from scratch. This demonstrates the method; it is"
    " no BFCL score."
)


def prepare_benchmark(config: PolicyConfig, progress: Progress) -> Prepared:
    """BFCL's tasks and a policy pretrained on short dialogues in its tools.

    The policy of the preset "micro" is part of the package; others are pretrained and cached.

    Raises:
        UserError: the cache cannot be written.
    """
    env = BfclEnvironment()

    def make(folder: Path) -> dict[str, Any]:
        return make_policy(folder, config, progress)

    policy = shipped(config, env.version) or cached(
        "micro", [policy_key(config, env.version)], make
    )
    tasks = _tasks(env, policy, config.indices, progress)
    renderer = _renderer(policy)
    return Prepared(env, renderer, load_tasks(tasks, env, renderer), policy / "model", NOTICE)


def make_policy(folder: Path, config: PolicyConfig, progress: Progress) -> dict[str, Any]:
    """Pretrain a policy into an empty folder; returns what there is to tell about it."""
    env = BfclEnvironment()
    tokenizer = build_tokenizer(vocabulary(env), tool_specs())
    tokenizer.save(folder / TOKENIZER)
    tasks = _tasks(env, folder, config.indices, progress)
    examples = _dialogues(folder, tasks, config, progress)
    renaming = Renaming(MicroRenderer(tokenizer), phrase_words())
    return make_base(folder, tokenizer, config, examples, renaming, progress)


def shipped(config: PolicyConfig, version: str) -> Path | None:
    """The folder of the policy that comes with the package, if it is the one of these settings.

    `experiments/micro_policy.py` makes it.
    """
    settings = json.loads((SHIPPED / SETTINGS).read_text("utf-8"))
    return SHIPPED if settings == policy_key(config, version) else None


def policy_key(config: PolicyConfig, version: str) -> dict[str, Any]:
    """What a policy depends on.

    Args:
        version: of the benchmark's tools.
    """
    return {"tools": version, **config.model_dump()}


def _renderer(policy: Path) -> MicroRenderer:
    return MicroRenderer(MicroTokenizer.load(policy / TOKENIZER))


def _tasks(env: Environment, policy: Path, indices: int, progress: Progress) -> Path:
    """The folder of the benchmark's tasks in the words of a policy's tokenizer."""

    def make(folder: Path) -> dict[str, Any]:
        progress("realising the benchmark's tasks", 0.0)
        tasks = realise_benchmark(env, _renderer(policy), indices)
        tasks.save(folder)
        return tasks.counts()

    words = hashlib.sha256((policy / TOKENIZER).read_bytes()).hexdigest()
    return cached("tasks", [env.version, words, indices], make)


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
    policy: Path, tasks: Path, config: PolicyConfig, progress: Progress
) -> list[Example]:
    chunks = [
        (str(policy), str(tasks), config.longer, config.seed, i, min(CHUNK, config.dialogues - i))
        for i in range(0, config.dialogues, CHUNK)
    ]
    examples: list[Example] = []
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(2, os.cpu_count() or 1)) as pool:
        for chunk in pool.imap(_chunk, chunks):
            examples += chunk
            progress("making short dialogues", len(examples) / config.dialogues)
    return examples


_WORKER: dict[str, Any] = {}  # what a worker process loads once, for all its chunks


def _chunk(job: tuple[str, str, float, int, int, int]) -> list[Example]:
    policy, place, longer, seed, index, count = job
    if not _WORKER:
        renderer = _renderer(Path(policy))
        tasks = load_tasks(Path(place), BfclEnvironment(), renderer)
        assert tasks.pipeline is not None
        every = (*tasks.train, *tasks.validation, *tasks.test)
        _WORKER.update(
            renderer=renderer,
            program=tasks.pipeline.program,
            forbidden={signature(t) for t in every},
        )
    program, renderer = _WORKER["program"], _WORKER["renderer"]
    rng = random.Random(f"dialogues {seed} {index}")
    stream = short_dialogues(program, renderer, _WORKER["forbidden"], longer, rng)
    return list(islice(stream, count))
