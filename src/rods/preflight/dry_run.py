"""Everything about a run that can be known before it begins (`rods train --dry-run`).

No GPU and no network is used, and nothing is written. Only the endpoint of synthesis, if the
configuration names one, is asked for one completion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rods.config import Config
from rods.errors import UserError
from rods.extras import BENCHMARK, TRAINER, require
from rods.policies.model import ModelSettings, settings_of
from rods.policies.tasks import check_endpoint, choose_seeds
from rods.preflight.endpoint import ask
from rods.preflight.ground_truth import Played, play
from rods.preflight.lengths import describe
from rods.preflight.machine import needs
from rods.preflight.memory import Memory, estimate
from rods.preflight.model import Dimensions, Writer, find_dimensions, find_writer
from rods.preflight.schedule import (
    MORE,
    Epoch,
    Work,
    epochs,
    measuring_work,
    most_written,
    training_work,
)
from rods.task import Task, by_category
from rods.terminal import Bar

COMPARED = 3  # episodes of each category that are compared with the chat template
Facts = dict[str, Any]
Sides = Mapping[str, Sequence[Task]]


def dry_run(config: Config) -> Facts:
    """The facts by section, as plain data.

    Raises:
        UserError: the run cannot work.
    """
    check_endpoint(config)
    known: Facts = {"settings": config.model_dump(mode="json"), "warnings": []}
    if isinstance(config.policy, ModelSettings):
        known |= _of_model(config, known["warnings"])
    endpoint = config.synthesis.endpoint
    known["synthesis"] = {
        "mode": config.synthesis.mode,
        "by": f"the model of {endpoint}" if endpoint else "program",
        "endpoint": ask(endpoint)._asdict() if endpoint else None,
    }
    checkpoint = known["memory"]["checkpoint"] if "memory" in known else None
    known["machine"] = [need._asdict() for need in needs(config, checkpoint)]
    return known


def _of_model(config: Config, warnings: list[str]) -> Facts:
    from rods.policies.model_tasks import prompt_tokens, read_sides, too_small

    settings, budget = settings_of(config), config.rollout.token_budget
    if config.hardware.sharded and not settings.generation.startswith("vllm"):
        message = f"{settings.generation} cannot sample from a model that is divided among GPUs"
        raise UserError(f"policy.generation: {message}; set vllm_colocate or vllm_server")
    require(*TRAINER, *(BENCHMARK if config.environment.name == "bfcl" else ()))
    writer, dimensions = find_writer(settings), find_dimensions(config)
    with read_sides(config) as found:
        sides = found.sides
        every = [task for tasks in sides.values() for task in tasks]
        choose_seeds(sides["train"], config)  # the error comes sooner
        prompts = (prompt_tokens(t, found.playing, writer.renderer) for t in sides["train"])
        if (least := _first_below(prompts, budget)) >= budget:
            raise too_small(budget, least)
        some = [t for tasks in by_category(sides["train"]).values() for t in tasks[:COMPARED]]
        compare = frozenset(task.id for task in some)
        with Bar("episodes of the ground truth", len(every)) as bar:
            played = play(every, found.playing, writer.renderer, compare, bar.advance)
    sizes = played.sizes
    train = [task for task in sides["train"] if sizes[task.id].prompt < budget]
    if played.misread:
        names = ", ".join(played.misread[:3])
        message = f"calls of {len(played.misread)} tasks are not read as written ({names})"
        raise UserError(f"policy.renderer: {message}; set renderer.dialect=prompt")
    seeds = choose_seeds(train, config)
    config.check_categories(task.category for task in seeds)
    memory = estimate(config, dimensions, most_written(config, sizes.values()))
    foreseen = epochs(config, {c: len(tasks) for c, tasks in by_category(seeds).items()})
    facts = {
        "renderer": _renderer(writer, played),
        "prompts": describe(sides, sizes, lambda s: s.prompt, lambda n: n < budget),
        "episodes": describe(sides, sizes, lambda s: s.total, lambda n: n <= budget),
        "actions": describe(
            sides, sizes, lambda s: s.longest, lambda n: n <= config.rollout.action_tokens
        ),
        "left_out": dict(found.left_out),
        "model": dimensions._asdict(),
        "memory": _memory(config, memory, dimensions),
        "schedule": _schedule(
            config,
            foreseen,
            training_work(config, foreseen, train, sizes),
            measuring_work(config, foreseen, sides, sizes),
        ),
    }
    warnings += _warnings(config, facts, played)
    return facts


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


def _memory(config: Config, memory: Memory, model: Dimensions) -> Facts:
    whole = settings_of(config).lora is None
    trained = model.parameters if whole else model.adapters
    return {
        **memory._asdict(),
        "peak": memory.peak,
        "checkpoint": 12.0 * trained,  # weights and AdamW's moments in float32
    }


def _schedule(config: Config, foreseen: Sequence[Epoch], training: Work, measuring: Work) -> Facts:
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


def _warnings(config: Config, facts: Facts, played: Played) -> list[str]:
    """What may be wrong with a run that can work."""
    rollout, hardware = config.rollout, config.hardware
    found = []
    for what, name, effect in (
        ("prompts", "rollout.token_budget", "they are left out, or fail if they are test tasks"),
        ("episodes", "rollout.token_budget", "their last turns cannot be reached"),
        ("actions", "rollout.action_tokens", "their calls are cut off"),
    ):
        long = {k: v for side in facts[what]["too_long"].values() for k, v in side.items()}
        if long:
            worst = sorted(long, key=lambda label: -long[label])
            names = ", ".join(f"{label} {long[label]:,}" for label in worst[:3])
            limit = rollout.token_budget if "budget" in name else rollout.action_tokens
            count = f"{len(long)} of {len(facts[what]['tasks'])}"
            found.append(f"{what} above {name} = {limit:,}: {count} ({names}); {effect}")
    if played.failed:
        names = ", ".join(played.failed[:3])
        found.append(f"ground truths not rewarded in full: {len(played.failed)} ({names})")
    if unequal := facts["renderer"]["episodes_unequal"]:
        found.append(f"episodes that differ from the chat template: {', '.join(unequal)}")
    gib = facts["memory"]["peak"] / 2**30
    if gib > hardware.memory:
        found.append(f"about {gib:.0f} GiB are needed, and hardware.memory is {hardware.memory:g}")
    episodes = facts["memory"]["episodes"]
    if episodes is not None and episodes < 1:
        found.append(f"vLLM holds {episodes:.1f} whole episodes; raise policy.vllm.memory_share")
    return found
