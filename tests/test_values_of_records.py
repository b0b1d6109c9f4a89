"""Variants by program keep what the seed tasks show about values; here no gate asks for it."""

from __future__ import annotations

import random
from functools import cache

from market import ENV, TOOLS, start, trace
from rods.synthesis.critique import Critic
from rods.synthesis.meaning.learned import Learned, learned_from
from rods.synthesis.meaning.trace import CallTrace
from rods.synthesis.program import program_pipeline
from rods.task import Task

PRICES = (12.5, 30.25, 47.75, 61.5, 88.25, 93.75)
DEGREES = (18.5, 19.0, 21.5, 23.0, 24.0, 25.5)
SEEDS = [
    trace(
        (f"Send order W10{i} to Town{chr(65 + i)}, {70_000 + i}.",
         f"send_to('W10{i}', 'Town{chr(65 + i)}', '{70_000 + i}')"),
        (f"Set the heating of the hall to {DEGREES[i]} degrees and show me the customer C{i}.",
         f"[heat({DEGREES[i]}), get_customer('C{i}')]"),
        (f"Charge {20 + i} to the {('visa', 'gift')[card]} card and cancel the order W10{i}.",
         f"[charge('card_{i}{card}', {20 + i}), cancel_order('W10{i}')]"),
        state=start(PRICES),
    ).task
    for i in range(6)
    for card in range(2)
]  # fmt: skip


@cache
def made() -> tuple[Learned, list[Task]]:
    """What the seed tasks show, and variants whose critic does not know it."""
    learned = learned_from(SEEDS, ENV, TOOLS)
    pipeline = program_pipeline(ENV, TOOLS, SEEDS, Critic(ENV, learned=learned))
    pipeline.critic = Critic(ENV)
    found = [pipeline.vary(s, random.Random(i), 0) for i, s in enumerate(SEEDS * 4)]
    return learned, [task for task in found if task is not None]


def test_values_that_belong_together_are_of_one_record() -> None:
    learned, tasks = made()
    traces = [CallTrace(task, ENV) for task in tasks]
    judged = [found for one in traces for found in learned.records.judged(one)]
    of_two_calls = [found for found, _ in judged if found.first[0] != found.second[0]]
    assert len(tasks) > 20 and len(judged) > 40 and len(of_two_calls) > 10
    assert all(together for _, together in judged)
    assert len({found.values for found, _ in judged}) > 10


def test_a_redrawn_price_is_that_of_the_catalogue() -> None:
    learned, tasks = made()
    prices = {thing["price"] for t in tasks for thing in t.start["Market"]["catalogue"].values()}
    assert len(prices - set(PRICES)) > 20
    assert all(learned.equalities.broken(task.start) == [] for task in tasks)


def test_numbers_are_those_that_the_seed_tasks_show() -> None:
    calls = [call for task in made()[1] for call in task.calls]
    degrees = {call.arguments["degrees"] for call in calls if call.name == "heat"}
    assert len(degrees) > 5 and degrees - set(DEGREES)
    assert all(18.5 <= number <= 25.5 for number in degrees)
