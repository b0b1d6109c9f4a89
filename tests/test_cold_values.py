"""Which values a cold start takes for which parameter, and what it invents."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rods.envs.state import State
from rods.synthesis.cold import inventions
from rods.synthesis.cold.arguments import Proposer
from rods.synthesis.cold.known import held_pool, is_id, pool, shown, suiting, taken
from rods.synthesis.cold.memory import Memory
from rods.synthesis.cold.steps import _of_different_values
from rods.synthesis.cold.suited import Suited
from rods.synthesis.meaning.ranges import Ranges
from rods.task import Call, ToolSpec

TEXT = {"type": "string"}
STATE = State(
    {
        "Shop": {
            "users": {
                "U1": {"name": "Ada", "address": {"city": "Rome", "zip": "00184"}},
                "U2": {"name": "Bo", "address": {"city": "Oslo", "zip": "0150"}},
                "U3": {"name": "Cy", "address": {"city": "Bern", "zip": "3011"}},
            },
            "products": {
                "P1": {"name": "Lamp", "variants": {"V11": {"price": 5.0}, "V12": {"price": 6.0}}},
                "P2": {"name": "Desk", "variants": {"V21": {"price": 7.0}, "V22": {"price": 8.0}}},
            },
            "orders": {"O1": {"user_id": "U1", "items": [{"item_id": "V11", "product_id": "P1"}]}},
        }
    }
)


@pytest.mark.parametrize(
    ("tool", "parameter", "expected"),
    [
        ("get_user", "user_id", {"U1", "U2", "U3"}),
        ("get_user", "id", {"U1", "U2", "U3"}),
        ("find_user", "name", {"Ada", "Bo", "Cy"}),
        ("find_product", "name", {"Lamp", "Desk"}),
        ("move_user", "zip", {"00184", "0150", "3011"}),
        ("cancel_order", "order_id", {"O1"}),
        ("rename", "colour", set()),
    ],
)
def test_names_say_which_values_suit(tool: str, parameter: str, expected: set[str]) -> None:
    found = suiting(tool, parameter, TEXT, held_pool(STATE))
    assert {known.value for known in found} == expected


def test_an_answer_without_structure_is_a_value_of_what_the_tool_is_about() -> None:
    values = shown("find_user_id_by_name", "ada_7", 0)
    assert [v.value for v in suiting("get_user", "user_id", TEXT, pool(values))] == ["ada_7"]
    assert not shown("say", "a long text " * 20, 0)


def spec(name: str, *required: str, **parameters: dict[str, Any]) -> ToolSpec:
    return ToolSpec(name=name, owner="Shop", parameters=parameters, required=required)


@given(seed=st.integers(0, 10_000))
def test_parts_of_an_address_are_of_one(seed: int) -> None:
    tool = spec("move_user", "user_id", "city", "zip", user_id=TEXT, city=TEXT, zip=TEXT)
    opened = frozenset({("move_user", "city"), ("move_user", "zip")})
    proposer = Proposer(Ranges({"move_user": tool}), opened)
    made = proposer.arguments(tool, Memory(STATE), random.Random(seed))
    assert made is not None
    assert {"Rome": "00184", "Oslo": "0150", "Bern": "3011"}[made["city"]] == made["zip"]


def test_a_variant_of_the_same_product_is_found() -> None:
    memory = Memory(STATE)
    assert memory.bridged("V11", "V12") and not memory.bridged("V11", "V21")


@given(seed=st.integers(0, 10_000), refused=st.sets(st.sampled_from(["U1", "U2", "U3"])))
def test_refused_ids_are_avoided_as_long_as_there_are_others(seed: int, refused: set[str]) -> None:
    suited, rng = Suited(), random.Random(seed)
    for value in sorted(refused) * 2:
        call = Call(name="get_user", arguments={"user_id": value})
        suited.note(STATE, call, taken=False)
    values = suiting("get_user", "user_id", TEXT, held_pool(STATE))
    drawn = [suited.without_refused(STATE, "get_user", "user_id", values, rng) for _ in range(60)]
    left = {"U1", "U2", "U3"} - refused or {"U1", "U2", "U3"}
    assert left in [{v.value for v in found} for found in drawn]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


@given(data=JSON, parameter=st.text(max_size=12), seed=st.integers(0, 100))
def test_any_response_and_any_name_can_be_read(data: Any, parameter: str, seed: int) -> None:
    values = shown("get_thing", json.dumps(data), 0)
    for schema in (TEXT, {"type": "integer"}, {"type": "number"}, {}):
        suiting("use_thing", parameter, schema, pool(values))
    call = Call.model_construct(name="use_thing", arguments={parameter or "x": data})
    list(taken(call, 0))
    assert isinstance(_of_different_values(call), bool) and isinstance(is_id(parameter), bool)
    assert isinstance(inventions.invented(parameter, random.Random(seed)), str)


@example(low=0.0, width=5e-324, kind="number", seed=0)
@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(0, 1e6),
    kind=st.sampled_from(["integer", "number"]),
    seed=st.integers(0, 100),
)
def test_numbers_are_within_their_bounds(low: float, width: float, kind: str, seed: int) -> None:
    bounds, schema = (low, low + width), {"type": kind}
    value = inventions.number(bounds, "size", schema, random.Random(seed))
    slack = 1 if kind == "integer" else 1e-6  # there may be no whole number between them
    assert low - slack <= value <= low + width + slack
    assert isinstance(value, int) or kind == "number"


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ("For example dog, cat, rabbit.", ["dog", "cat", "rabbit"]),
        ("either 'no longer needed' or 'by mistake'", ["no longer needed", "by mistake"]),
        ("The user id, such as 'sara_doe_496'.", ["sara_doe_496"]),
        ("The name.", []),
    ],
)
def test_documents_list_values(described: str, expected: list[str]) -> None:
    assert inventions.examples({"description": described}) == expected
