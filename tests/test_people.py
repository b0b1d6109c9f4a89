"""The people of a start state get other names, the same everywhere."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from rods.synthesis.critique import Critic
from rods.synthesis.inputs import inputs_of
from rods.synthesis.meaning.learned import Learned
from rods.synthesis.people import People, people, speaker, with_names
from rods.synthesis.program import program_pipeline
from rods.synthesis.values import ValueSource
from rods.task import Task, Turn

RNG = random.Random(0)

SHOP = {
    "customers": {
        "ada_king_12": {
            "name": {"first_name": "Ada", "last_name": "King"},
            "email": "ada.king@example.com",
            "city": "Austin",
            "grace_period": 3,
        },
        "austin_moss_7": {
            "name": {"first_name": "Austin", "last_name": "Moss"},
            "email": "austin.moss@example.com",
            "city": "Paris",
        },
    },
    "orders": [{"customer": "ada_king_12", "note": "Ada said: mark it as a gift of Adam"}],
    "user_map": {"Grace": "U1", "Mark": "U2"},
    "current_user": "Mark Lee",
    "tier": "Gold",
}


def test_fields_and_mappings_that_hold_names() -> None:
    assert people(SHOP) == {
        "Ada": "given", "King": "family", "Moss": "family",
        "Grace": "given", "Mark": "given", "Lee": "family",
    }  # fmt: skip
    assert "Austin" not in people(SHOP), "the city must keep its name"


def test_the_name_of_the_user_for_whom_the_tools_work() -> None:
    assert speaker(SHOP) == ("Mark", "Lee")
    own = speaker({"TravelAPI": {"user_last_name": "Moss", "user_first_name": "Evelyn"}})
    assert (own.of("first_name"), own.of("user_last_name")) == ("Evelyn", "Moss")
    assert own.of("cardholder_name") == "Evelyn Moss" and own.of("user_name") == ""
    assert speaker({"current_user": "USR001", "first_name": "Ada"}) == ("", "")
    assert speaker({"current_user": "Ada"}).of("cardholder_name") == ""


def test_a_new_name_is_in_ids_addresses_keys_and_texts() -> None:
    new = with_names(SHOP, {"Ada": "Uma", "King": "Bell", "Mark": "Noor", "Grace": "Ines"})
    assert list(new["customers"]) == ["uma_bell_12", "austin_moss_7"]
    record = new["customers"]["uma_bell_12"]
    assert record["name"] == {"first_name": "Uma", "last_name": "Bell"}
    assert record["email"] == "uma.bell@example.com" and record["grace_period"] == 3
    assert new["orders"] == [
        {"customer": "uma_bell_12", "note": "Uma said: mark it as a gift of Adam"}
    ]
    assert new["user_map"] == {"Ines": "U1", "Noor": "U2"} and new["current_user"] == "Noor Lee"
    assert with_names(SHOP, {}) is SHOP


def _seed(start: dict[str, Any]) -> Task:
    turns = (Turn(user="Ask an agent"),)
    return Task(category="base", environment="shop", classes=("Shop",), start=start, turns=turns)


def test_new_names_are_other_peoples_and_not_in_the_state() -> None:
    others = {
        "owner": "Ito",
        "created_by": "Agent",
        "user_first_name": "Ada",
        "holder": "Vera Stone",
    }
    known = People([_seed(SHOP), _seed(others)])
    drawn = Counter[str]()
    for seed in range(50):
        names = known.exchanged(SHOP, random.Random(seed))
        assert len(set(names.values())) == len(names)
        assert not {name.lower() for name in names.values()} & {"ada", "king", "mark", "lee"}
        drawn.update(names.values())
    assert {*drawn} == {"Ito", "Vera", "Stone"}


def test_start_states_of_the_benchmark_have_other_people_and_calls_that_suit_them() -> None:
    inputs = inputs_of("bfcl", None)
    stages = program_pipeline(inputs.env, inputs.tools, inputs.seeds, Critic(inputs.env)).program
    source = ValueSource(stages.bank, stages.graph.phrases, Learned(inputs.tools).ranges, RNG)
    asked, names = 0, Counter[str]()
    for _ in range(60):
        tools = {"get_user_id"}
        start, near = stages.executor.starts.draw(["MessageAPI", "TravelAPI"], tools, source)
        users = {call["user"] for call in near["get_user_id"]}
        known = start["MessageAPI"].get("user_map", users)  # without it, the class has its own
        assert users <= {*known}
        asked += len(users)
        names[start["TravelAPI"]["user_first_name"]] += 1
    assert asked >= 60 and len(names) > 10
    human = Counter(
        s.start["TravelAPI"]["user_first_name"] for s in inputs.seeds if "TravelAPI" in s.start
    )
    assert names.most_common(1)[0][1] / 60 < human.most_common(1)[0][1] / human.total()
