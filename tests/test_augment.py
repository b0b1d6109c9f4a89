"""A turn is split as BFCL splits it, and its words give nothing away."""

import random
import re

import pytest

from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.notation import parse_calls
from rods.synthesis.augment import augment, base_form
from rods.synthesis.catalogue import phrases
from rods.synthesis.failures import SynthesisError
from rods.synthesis.ground import ProgramGrounder
from rods.synthesis.stages import Executed, Plan
from rods.synthesis.story import PlainVoice
from rods.task import Turn

GROUNDER = ProgramGrounder(phrases(), PlainVoice())

DRAWS = range(40)


def split_last(category: str, *script: str, draw: int) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """Turns and withheld tools where these calls (a string a turn) are augmented at the end."""
    calls = tuple(parse_calls(turn, tool_specs()) for turn in script)
    answers = tuple(("{}",) * len(turn) for turn in calls)
    plan = Plan(category, ("VehicleControlAPI",), ((),) * len(calls), augmented=len(calls) - 1)
    rng = random.Random(draw)
    executed = Executed(plan, {}, calls, answers)
    task = augment(executed, GROUNDER.ground(executed, rng), "bfcl", rng)
    return task.turns, task.withheld


@pytest.mark.parametrize(
    ("script", "value"),
    [
        # One wording of the first call is "step on the brake"; another of the last, "release".
        (("pressBrakePedal(0.5)", "setHeadlights('on')"), "on"),
        (("[activateParkingBrake('release'), releaseBrakePedal()]",), "release"),
    ],
)
def test_no_choice_of_words_says_the_missing_value(script: tuple[str, ...], value: str) -> None:
    before, refused = [], 0
    for draw in DRAWS:
        try:
            turns, withheld = split_last("miss_param", *script, draw=draw)
        except SynthesisError:
            refused += 1
            continue
        assert not withheld
        assert [bool(turn.ground_truth) for turn in turns[-2:]] == [False, True]
        assert turns[-1].user.endswith(f" is {value}")
        before.append(" ".join(turn.user for turn in turns[:-1]))
    assert before and refused
    assert [text for text in before if re.search(rf"\b{value}\b", text)] == []


def test_a_value_that_was_said_cannot_be_left_out() -> None:
    for draw in DRAWS:
        with pytest.raises(SynthesisError, match="nothing to leave out"):
            split_last("miss_param", "set_navigation('nvda')", "set_navigation('nvda')", draw=draw)


def test_only_a_tool_that_was_not_used_before_is_withheld() -> None:
    first, second = "setHeadlights('off')", "[setHeadlights('on'), lockDoors(True, ['driver'])]"
    for draw in DRAWS:
        turns, withheld = split_last("miss_func", first, second, draw=draw)
        assert withheld == turns[-1].restores == ("lockDoors",)
        assert turns[-2].user and not turns[-2].ground_truth and not turns[-1].user
        with pytest.raises(SynthesisError, match="nothing to withhold"):
            split_last("miss_func", first, "setHeadlights('on')", draw=draw)


def test_augmented_seeds_have_the_base_form_of_their_base() -> None:
    for category in ("miss_func", "miss_param"):
        same = 0
        for index in range(200):
            form, augmented = base_form(benchmark_tasks()[f"multi_turn_{category}_{index}"])
            turns = form.turns
            base = benchmark_tasks()[f"multi_turn_base_{index}"].turns
            assert augmented is not None and len(turns) == len(base)
            same += [t.ground_truth for t in turns] == [t.ground_truth for t in base]
        assert same >= 195  # the benchmark's own answers differ in a few
