"""Everything about a run that can be known before it begins (`rods train --dry-run`).

No GPU and no network is used, and nothing is written. Only the endpoint of synthesis, if the
configuration names one, is asked for one completion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rods.config import Config
from rods.errors import UserError
from rods.extras import BENCHMARK, TRAINER, require
from rods.policies.model import ModelSettings, settings_of
from rods.policies.tasks import check_endpoint, choose_seeds
from rods.preflight.endpoint import ask
from rods.preflight.ground_truth import Played, play
from rods.preflight.lengths import describe
from rods.preflight.machine import needs
from rods.preflight.memory import estimate
from rods.preflight.model import Dimensions, Writer, find_dimensions, find_writer
from rods.preflight.notes import notes
from rods.preflight.schedule import (
    MORE,
    Epoch,
    Work,
    epochs,
    measuring_work,
    most_written,
    training_work,
)
from rods.renderers.chat import ChatRenderer
from rods.task import by_category
from rods.terminal import Bar

if TYPE_CHECKING:
    from rods.policies.model_tasks import Sides

COMPARED = 3  # episodes of each category that are compared with the chat template
Facts = dict[str, Any]


def dry_run(config: Config, packages: Sequence[str] = TRAINER) -> Facts:
    """The facts by section, as plain data.

    Args:
        packages: that the engine needs.

    Raises:
        UserError: the run cannot work.
    """
    check_endpoint(config)
    known: Facts = {"settings": config.model_dump(mode="json"), "notes": []}
    if isinstance(config.policy, ModelSettings):
        known |= _of_model(config, packages)
    endpoint = config.synthesis.endpoint
    known["synthesis"] = {
        "mode": config.synthesis.mode,
        "by": f"the model of {endpoint}" if endpoint else "program",
        "endpoint": ask(endpoint)._asdict() if endpoint else None,
    }
    checkpoint = known["memory"]["checkpoint"] if "memory" in known else None
    known["machine"] = [need._asdict() for need in needs(config, checkpoint)]
    return known


def _of_model(config: Config, packages: Sequence[str]) -> Facts:
    from rods.policies.model_tasks import read_sides

    settings, rollout = settings_of(config), config.rollout
    if config.hardware.sharded and not settings.generation.startswith("vllm"):
        message = f"{settings.generation} cannot sample from a model that is divided among GPUs"
        raise UserError(f"policy.generation: {message}; set vllm_colocate or vllm_server")
    require(*packages, *(BENCHMARK if config.environment.name == "bfcl" else ()))
    writer, dimensions = find_writer(settings), find_dimensions(config)
    with read_sides(config) as found:
        played = _play(config, found, writer.renderer)
    sides, sizes, budget = found.sides, played.sizes, rollout.token_budget
    train = [task for task in sides["train"] if sizes[task.id].prompt < budget]
    seeds = choose_seeds(train, config)
    config.check_categories(task.category for task in seeds)
    foreseen = epochs(config, {c: len(tasks) for c, tasks in by_category(seeds).items()})
    training = training_work(config, foreseen, train, sizes)
    measuring = measuring_work(config, foreseen, sides, sizes)
    most, attempts = rollout.action_tokens, rollout.attempts
    facts = {
        "renderer": _renderer(writer, played),
        "prompts": describe(sides, sizes, lambda size: size.prompt, lambda n: n < budget),
        "episodes": describe(sides, sizes, lambda size: size.total, lambda n: n <= budget),
        "actions": describe(sides, sizes, lambda size: size.longest, lambda n: n <= most),
        "turn_calls": describe(sides, sizes, lambda size: size.calls, lambda n: n <= attempts),
        "left_out": dict(found.left_out),
        "model": dimensions._asdict(),
        "memory": _memory(config, dimensions, most_written(config, sizes.values())),
        "schedule": _schedule(foreseen, training, measuring),
    }
    return {**facts, "notes": [*notes(config, facts, played)]}


def _play(config: Config, found: Sides, renderer: ChatRenderer) -> Played:
    """Play all ground truths, after what can be refused without that."""
    from rods.policies.model_tasks import prompt_tokens, too_small

    train, budget = found.sides["train"], config.rollout.token_budget
    choose_seeds(train, config)
    prompts = (prompt_tokens(task, found.playing, renderer) for task in train)
    if (least := _first_below(prompts, budget)) >= budget:
        raise too_small(budget, least)
    every = [task for tasks in found.sides.values() for task in tasks]
    some = [task for tasks in by_category(train).values() for task in tasks[:COMPARED]]
    with Bar("episodes of the ground truth", len(every)) as bar:
        played = play(every, found.playing, renderer, {task.id for task in some}, bar.advance)
    if played.misread:
        names = ", ".join(played.misread[:COMPARED])
        message = f"calls of {len(played.misread)} tasks are not read as written ({names})"
        raise UserError(f"policy.renderer: {message}; set policy.renderer.dialect=prompt")
    return played


def _first_below(values: Iterable[int], limit: int) -> int:
    """The first value below the limit; else the least one, or the limit if there is none."""
    seen = []
    for value in values:
        if value < limit:
            return value
        seen.append(value)
    return min(seen, default=limit)


def _renderer(writer: Writer, played: Played) -> Facts:
    renderer, tokenizer = writer.renderer, writer.tokenizer
    return {
        **renderer.facts._asdict(),
        "tokenizer": writer.source,
        "stop_tokens": tokenizer.convert_ids_to_tokens(list(renderer.stop_ids)),
        "tasks_read_back": len(played.sizes),
        "episodes_compared": len(played.compared),
        "episodes_unequal": [label for label, same in played.compared.items() if not same],
    }


def _memory(config: Config, model: Dimensions, written: float) -> Facts:
    found = estimate(config, model, written)
    trained = model.parameters if settings_of(config).lora is None else model.adapters
    return {
        **found._asdict(),
        "peak": found.peak,
        "checkpoint": 12.0 * trained,  # weights and AdamW's moments in float32
    }


def _schedule(foreseen: Sequence[Epoch], training: Work, measuring: Work) -> Facts:
    last = foreseen[-1]
    return {
        "epochs": [epoch._asdict() for epoch in foreseen],
        "pool_at_most": sum(last.tasks.values()),
        "variants_at_most": last.variants,
        "training": training._asdict(),
        "measuring": measuring._asdict(),
        "hours": {
            "generation": training.generation_seconds / 3600,
            "training": training.training_seconds / 3600,
            "measuring": measuring.generation_seconds / 3600,
        },
        "more": MORE,
    }
