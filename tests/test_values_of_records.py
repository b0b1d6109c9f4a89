"""Variants by program keep what the seed tasks show about values; here no gate asks for it."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

from market import ENV, TOOLS, start, trace
from rods.envs.notation import parse_calls
from rods.envs.python import PythonEnvironment
from rods.synthesis.critique import Critic
from rods.synthesis.meaning.learned import Learned, learned_from
from rods.synthesis.meaning.trace import CallTrace
from rods.synthesis.program import program_pipeline
from rods.task import Task, Turn

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


class House:
    """Floors by their number, each with a guide and rooms."""

    def __init__(self) -> None:
        self.floors: dict[str, dict[str, Any]] = {}
        self.closed: list[int] = []
        self.booked: list[int] = []

    def close_floor(self, guide: str, floor: int) -> dict[str, str]:
        """Close the floor of a guide."""
        self.closed.append(floor)
        return {"status": "closed"}

    def book_rooms(self, guide: str, rooms: list[int]) -> dict[str, str]:
        """Book rooms of a guide."""
        self.booked += rooms
        return {"status": "booked"}


def test_keys_and_lists_are_of_the_record_of_another_argument() -> None:
    env = PythonEnvironment(House)
    guides = ("Ann", "Bob", "Cid", "Dee", "Eve", "Fay")
    floors = {
        str(i): {"guide": guide, "rooms": [10 * i + room for room in range(4)]}
        for i, guide in enumerate(guides, 11)
    }

    def seed(floor: int, guide: str) -> Task:
        turns = (
            (f"Close {guide}'s floor {floor}.", f"close_floor('{guide}', {floor})"),
            (f"Book {guide}'s {floor}0, {floor}1.", f"book_rooms('{guide}', [{floor}0, {floor}1])"),
        )
        return Task(
            category="base",
            classes=("House",),
            start={"House": {"floors": floors}},
            turns=tuple(Turn(user=w, ground_truth=parse_calls(c, env.specs)) for w, c in turns),
            environment=env.name,
        )

    seeds = [seed(floor, guide) for floor, guide in enumerate(guides, 11)]
    learned = learned_from(seeds, env, env.specs)
    pipeline = program_pipeline(env, env.specs, seeds, Critic(env, learned=learned))
    pipeline.critic = Critic(env)
    tasks = [pipeline.vary(s, random.Random(i), 0) for i, s in enumerate(seeds * 2)]
    calls = [call for task in tasks if task is not None for call in task.calls]
    assert {call.name for call in calls} == {"close_floor", "book_rooms"} and len(calls) > 12
    for call in calls:
        guide = call.arguments["guide"]
        (floor,) = (int(number) for number, one in floors.items() if one["guide"] == guide)
        if call.name == "close_floor":
            assert call.arguments["floor"] == floor
        else:
            assert {room // 10 for room in call.arguments["rooms"]} == {floor}
