"""Epochs, steps, tokens and hours of a run, before it begins.

The pool is assumed to grow as fast as beta and P_max allow and to lose nothing, which is the most
that an epoch can have. Tokens are those of the ground truths; a policy is assumed to write `MORE`
times as many. Hours follow from the two speeds in `hardware`, which are assumptions as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import floor
from statistics import fmean
from typing import NamedTuple

from rods.config import Config
from rods.evaluate import some_of_each
from rods.policies.model import settings_of
from rods.preflight.ground_truth import Size
from rods.task import Task, by_category

MORE = 2.0  # times the tokens of the ground truth that a policy writes, with its words and errors
OPEN = 5  # epochs of a stage that only a plateau ends


class Epoch(NamedTuple):
    """An epoch as far as it can be foreseen.

    Attributes:
        tasks: number of tasks in the pool, by category.
        variants: how many of them were made.
        categories: those that the epoch draws from.
        steps: training steps.
    """

    stage: int
    tasks: dict[str, int]
    variants: int
    categories: tuple[str, ...]
    steps: int


class Work(NamedTuple):
    """Trajectories, tokens and seconds.

    Attributes:
        read: tokens that are read to generate.
        total: tokens of the whole trajectories.
    """

    trajectories: int
    generated: float
    read: float
    total: float
    generation_seconds: float
    training_seconds: float


def epochs(config: Config, seeds: Mapping[str, int]) -> list[Epoch]:
    """The epochs of a run of `steps` steps.

    Args:
        seeds: number of seed tasks by category.
    """
    per_step, left = config.rollout.tasks_per_step, config.steps
    tasks, variants, carried = dict(seeds), 0, Fraction(0)
    stage = spent = 0
    found: list[Epoch] = []
    while left > 0:
        now = config.stage(stage)
        drawn = tuple(c for c in tasks if c in now.categories) or tuple(tasks)
        steps = min(left, max(1, sum(tasks[c] for c in drawn) // per_step))
        found.append(Epoch(stage, dict(tasks), variants, drawn, steps))
        left -= steps
        if now.expand and config.arm == "rods":
            allowed = carried + Fraction(str(config.pool.beta)) * sum(tasks.values())
            carried = allowed % 1
            more = min(floor(allowed), config.pool.p_max - variants)
            variants += more
            for place in range(more):
                tasks[drawn[place % len(drawn)]] += 1
        spent += 1
        done = 1 - left / config.steps
        ended = spent >= (now.epochs or OPEN) or (now.until is not None and done >= now.until)
        if stage < len(config.stages) - 1 and ended:
            stage, spent = stage + 1, 0
    return found


def most_written(config: Config, sizes: Iterable[Size]) -> float:
    """Most tokens that a policy writes in an episode, as far as the limits allow."""
    rollout = config.rollout
    return max(
        min(MORE * s.generated, s.actions * rollout.action_tokens, rollout.token_budget - s.prompt)
        for s in sizes
    )


def training_work(
    config: Config, foreseen: Sequence[Epoch], train: Sequence[Task], sizes: Mapping[str, Size]
) -> Work:
    """What the trajectories of training cost."""
    means = {c: _means(config, tasks, sizes) for c, tasks in by_category(train).items()}
    sums = [0.0, 0.0, 0.0]
    rows = 0
    for epoch in foreseen:
        count = epoch.steps * config.rollout.rows
        live = sum(epoch.tasks[c] for c in epoch.categories)
        for category in epoch.categories:
            share = count * epoch.tasks[category] / live
            sums = [s + share * mean for s, mean in zip(sums, means[category], strict=True)]
        rows += count
    return _work(config, rows, *sums, trained=True)


def measuring_work(
    config: Config,
    foreseen: Sequence[Epoch],
    sides: Mapping[str, Sequence[Task]],
    sizes: Mapping[str, Size],
) -> Work:
    """What the held-out measurements cost."""
    settings, rows = config.evaluation, 0
    sums = [0.0, 0.0, 0.0]
    step, curve = 0, [0] if settings.validation_every else []
    for epoch in foreseen[:-1]:
        step += epoch.steps
        if curve and step - curve[-1] >= settings.validation_every:
            curve.append(step)
    for side, times in (
        ("validation", (len(curve) + 1) * settings.validation_samples),
        ("test", 2 * settings.test_samples),
    ):
        tasks = some_of_each(sides[side], settings.tasks)
        if tasks:
            count = times * len(tasks)
            means = _means(config, tasks, sizes)
            sums = [s + count * mean for s, mean in zip(sums, means, strict=True)]
            rows += count
    return _work(config, rows, *sums, trained=False)


def _means(
    config: Config, tasks: Sequence[Task], sizes: Mapping[str, Size]
) -> tuple[float, float, float]:
    """Mean tokens of an episode: generated, read to generate, and in all."""
    found = [sizes[task.id] for task in tasks]
    budget, vllm = config.rollout.token_budget, _vllm(config)
    totals = [min(budget, size.total + (MORE - 1) * size.generated) for size in found]
    reads = [t if vllm else s.read for s, t in zip(found, totals, strict=True)]
    return fmean(MORE * size.generated for size in found), fmean(reads), fmean(totals)


def _work(
    config: Config, rows: int, generated: float, read: float, total: float, *, trained: bool
) -> Work:
    """The seconds of trajectories; a forward pass is a quarter of a checkpointed training step."""
    hardware, settings = config.hardware, settings_of(config)
    forward = 4 * hardware.training
    passes = (4 if settings.gradient_checkpointing else 3) + bool(config.optimizer.kl)
    passes += _vllm(config)  # the log-probabilities that correct for vLLM's arithmetic
    generation = (generated / hardware.generation + read / forward) / hardware.processes
    training = passes * total / forward / hardware.processes if trained else 0.0
    return Work(rows, generated, read, total, generation, training)


def _vllm(config: Config) -> bool:
    return settings_of(config).generation.startswith("vllm")
