"""The prepared micro policy: realised tasks, tokenizer and pretrained weights, cached as a whole.

The cache is keyed by everything that shapes it, and its manifest is written last, so a folder
with a manifest is complete.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from rods import __version__
from rods.config import MicroConfig as PolicyConfig
from rods.envs.base import Environment
from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, split, tool_specs
from rods.errors import UserError
from rods.micro.dialect import MicroDialect, build_tokenizer
from rods.micro.dialogues import Renaming, short_dialogues
from rods.micro.tasks import MAX_TOKENS, MicroTasks, load_tasks, realise_benchmark
from rods.micro.tokenizer import MicroTokenizer
from rods.reward import gold_trace
from rods.synthesis.critique import signature

Progress = Callable[[str, float], None]
CHUNK = 500
FORMAT = 5


@dataclass(frozen=True)
class Prepared:
    """What a run of the micro preset starts from. `model` is a `save_pretrained` folder."""

    env: Environment
    dialect: MicroDialect
    tasks: MicroTasks
    model: Path
    manifest: dict[str, Any]


def cache_folder() -> Path:
    """`$RODS_CACHE`, else the user's cache directory."""
    if "RODS_CACHE" in os.environ:
        return Path(os.environ["RODS_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rods"


def prepare(config: PolicyConfig, progress: Progress = lambda what, share: None) -> Prepared:
    """Load the prepared policy, making it first where it is not cached (some minutes, once).

    Args:
        progress: called with a stage's name and the share of it that is done.

    Raises:
        UserError: the cache cannot be written.
    """
    env = BfclEnvironment()
    key = json.dumps([FORMAT, __version__, env.version, config.model_dump()], sort_keys=True)
    folder = cache_folder() / f"micro-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    if not (folder / "manifest.json").exists():
        _make(folder, config, env, progress)
    manifest = json.loads((folder / "manifest.json").read_text())
    dialect = MicroDialect(MicroTokenizer.load(folder / "tokenizer.json"))
    return Prepared(env, dialect, load_tasks(folder, env, dialect), folder / "model", manifest)


def _make(folder: Path, config: PolicyConfig, env: BfclEnvironment, progress: Progress) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    except OSError as error:
        raise UserError(
            f"{folder.parent}: the cache cannot be written ({error.strerror}); set RODS_CACHE"
        ) from None
    try:
        progress("realising the benchmark's tasks", 0.0)
        tokenizer = build_tokenizer(vocabulary(env), tool_specs())
        tokenizer.save(work / "tokenizer.json")
        tasks = realise_benchmark(env, MicroDialect(tokenizer), config.indices)
        tasks.save(work)
        examples = _dialogues(work, config, progress)
        manifest = _pretrain(work, tokenizer, config, examples, progress)
        manifest |= {"realisation": tasks.counts(), "left_out": dict(tasks.left_out)}
        (work / "manifest.json").write_text(json.dumps(manifest, indent=1))
        if not (folder / "manifest.json").exists():  # else another run was faster, and reads it
            shutil.rmtree(folder, ignore_errors=True)
            work.rename(folder)
    except OSError as error:
        raise UserError(f"{work}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def vocabulary(env: Environment) -> set[str]:
    """Words of the phrase catalogue, of the training side's responses and of all 800 tasks'
    argument values: a lexicon, no task."""
    texts = [(files("rods.synthesis") / "phrases.yaml").read_text("utf-8")]
    texts += [json.dumps(c.arguments) for t in benchmark_tasks().values() for c in t.calls]
    texts += [f"{name} {list(t.parameters)}" for name, t in tool_specs().items()]
    training = [t for n, t in benchmark_tasks().items() if split()[n] == "train"]
    texts += [r[:200] for t in training for turn in gold_trace(t, env).responses for r in turn]
    return {word for text in texts for word in re.findall("[A-Za-z]+", text) if len(word) < 24}


def _dialogues(
    work: Path, config: PolicyConfig, progress: Progress
) -> list[tuple[list[int], list[bool]]]:
    chunks = [
        (str(work), config.longer, config.seed, i, min(CHUNK, config.dialogues - i))
        for i in range(0, config.dialogues, CHUNK)
    ]
    examples: list[tuple[list[int], list[bool]]] = []
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(2, os.cpu_count() or 1)) as pool:
        for chunk in pool.imap(_chunk, chunks):
            examples += chunk
            progress("making short dialogues", len(examples) / config.dialogues)
    return examples


_WORKER: dict[str, Any] = {}  # what a worker process loads once, for all its chunks


def _chunk(job: tuple[str, float, int, int, int]) -> list[tuple[list[int], list[bool]]]:
    work, longer, seed, index, count = job
    if not _WORKER:
        dialect = MicroDialect(MicroTokenizer.load(Path(work) / "tokenizer.json"))
        tasks = load_tasks(Path(work), BfclEnvironment(), dialect)
        every = (*tasks.train, *tasks.validation, *tasks.test)
        _WORKER.update(dialect=dialect, tasks=tasks, forbidden={signature(t) for t in every})
    program, dialect = _WORKER["tasks"].program, _WORKER["dialect"]
    rng = random.Random(f"dialogues {seed} {index}")
    stream = short_dialogues(program, dialect, _WORKER["forbidden"], longer, rng)
    return list(islice(stream, count))


def _pretrain(
    work: Path,
    tokenizer: MicroTokenizer,
    config: PolicyConfig,
    examples: list[tuple[list[int], list[bool]]],
    progress: Progress,
) -> dict[str, Any]:
    import torch

    from rods.micro.model import MicroConfig, MicroForCausalLM
    from rods.micro.pretrain import pretrain

    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    model = MicroForCausalLM(
        MicroConfig(
            vocab_size=len(tokenizer),
            width=config.width,
            layers=config.layers,
            heads=config.heads,
            context=2 * MAX_TOKENS,
            pad_token_id=tokenizer.pad_id,
        )
    )
    losses: list[float] = []

    def on_step(tokens: int, loss: float) -> None:
        losses.append(loss)
        progress(f"pretraining, loss {loss:.2f}", tokens / config.tokens)

    rng, renaming = random.Random(config.seed), Renaming(MicroDialect(tokenizer))

    def passes() -> Any:
        while True:
            order = list(examples)
            rng.shuffle(order)
            for ids, mask in order:
                yield renaming(ids, rng), mask

    pretrain(
        model,
        passes(),
        total_tokens=config.tokens,
        batch_tokens=config.batch_tokens,
        lr=config.learning_rate,
        seed=config.seed,
        on_step=on_step,
    )
    model.save_pretrained(work / "model")
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": len(tokenizer),
        "dialogues": len(examples),
        "loss": sum(losses[-20:]) / len(losses[-20:]),
    }
