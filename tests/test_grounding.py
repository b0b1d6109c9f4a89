"""Where an argument's value can be known from."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.grounding import all_stated, says, stated
from rods.provenance import Source, leaves, sources
from rods.reward import gold_trace
from rods.task import Call, Task, Turn

TOLD = [
    (5, "take 5 of them"),
    (5, "take five of them"),
    (1000, "pay 1,000 now"),
    (1000.0, "pay 1000 now"),
    (2.5, "press it to 2.5."),
    (50.0, "for $50.00 in all"),
    (1250, "it costs 1,250.00."),
    ("report.md", "open report.md."),
    ("AAPL", "(AAPL)"),
    (None, "null"),
]
NOT_TOLD = [
    (5, "take 15 of them"),
    (5, "5.5 miles"),
    (2.5, "12.5"),
    (50, "150.00"),
    (50, "50.005"),
    ("report", "report_old and report.md"),
    ("AAPL", "aapl"),
    ("", "anything"),
    (True, "something else"),
]


@pytest.mark.parametrize(("value", "text"), TOLD)
def test_a_value_is_stated(value: object, text: str) -> None:
    assert stated(value, text)


@pytest.mark.parametrize(("value", "text"), NOT_TOLD)
def test_a_value_is_not_stated(value: object, text: str) -> None:
    assert not stated(value, text)


def test_a_truth_value_needs_only_to_be_spoken_of() -> None:
    assert stated(True, "list the hidden files too", "show_hidden")
    assert not stated(True, "list the files", "recursive")


def test_the_nearest_source_counts_and_of_a_list_the_farthest() -> None:
    calls = (
        Call(name="f", arguments={"a": "here", "b": "before"}),
        Call(name="g", arguments={"c": "shown", "d": ["here", "nowhere"]}),
    )
    turns = (Turn(user="before"), Turn(user="here it is", ground_truth=calls))
    task = Task(category="base", classes=("X",), start={}, turns=turns)
    assert sources(task, [[], ["shown", "-"]], {}) == [
        {"a": Source.HERE, "b": Source.BEFORE},
        {"c": Source.OUTPUT, "d": Source.NOWHERE},
    ]


def test_a_call_does_not_see_its_own_response() -> None:
    turn = Turn(user="-", ground_truth=(Call(name="f", arguments={"a": "late"}),))
    task = Task(category="base", classes=("X",), start={}, turns=(turn,))
    assert sources(task, [["late"]], {}) == [{"a": Source.NOWHERE}]


TAGS = {"type": "array", "description": "Tags of the tweet. A tag should start with #."}
USERS = {"type": "array", "description": "Users. A name begins with '@'."}
FORMS = [
    ("", "leave the resolution as an empty string", "resolution", {}),
    ("#RoadTrip", "tag it RoadTrip", "tags", TAGS),
    ("@Jerry", "post it, mentioning Jerry", "mentions", USERS),
    ("Buy", "purchase 49 shares", "order_type", {"enum": ["Buy", "Sell"]}),
    ("buy", "I am acquiring 49 shares", "order_type", {"enum": ["buy", "sell"]}),
    (False, "please secure the doors", "unlock", {"type": "boolean"}),
    (True, "please secure it", "lock_doors", {"type": "boolean"}),
    ("secure", "use the secure mode", "mode", {"enum": ["secure", "open"]}),
    (False, "please lock the doors", "unlock", {"type": "boolean"}),
    (True, "turn the alerts on", "disable_alerts", {"type": "boolean"}),
    ("rear_left", "open the rear left door", "door", {"enum": ["rear_left", "rear_right"]}),
    ("parkingBrake", "show the parking brake", "option", {"enum": ["fuel", "parkingBrake"]}),
    ("START", "start it", "mode", {"description": '[Enum]: ["START", "STOP"]'}),
    ("Sell", "sell all of it", "order_type", {}),
    ("Buy", "buy 49 shares", "order_type", {}),
    ("2027-10-07", "on October 7, 2027", "date", {}),
    ("2027-10-07", "on the 7th of October 2027", "date", {}),
    ("2027-10-07", "on 10/07/2027", "date", {}),
    ("Tue 11:00", "on Tuesday at 11:00, please", "slot", {}),
    ("Wednesday 9:30", "at 9:30 on Wed.", "slot", {}),
    (0.2, "with a 20% discount", "discount", {}),
    (0.55, "55 percent off", "discount", {}),
    ("..", "move it to the parent folder", "folder", {}),
    (49, "buy Forty-nine shares", "amount", {}),
    (25.5, "at $25.50 a share", "price", {}),
    ("Call me at noon", 'send "Call me at noon" to Ann', "text", {}),
    ("Call me at noon", "send Ann the message: Call me at noon", "text", {}),
]
OTHERS = [
    ("", "leave the folder empty", "resolution", {}),
    ("#RoadTrip", "tweet about the road trip", "tags", TAGS),
    ("#RoadTrip", "tag it RoadTrip2", "tags", TAGS),
    ("#RoadTrip", "tag it RoadTrip", "tags", {}),
    ("@Jerry", "mention Tom", "mentions", TAGS),
    ("@Jerry", "mention Jerry", "mentions", TAGS),
    ("Sell", "purchase 49 shares", "order_type", {"enum": ["Buy", "Sell"]}),
    ("buy", "acquire 49 shares", "mode", {"enum": ["buy", "acquire"]}),
    ("Buy", "sell the shares that I purchased", "order_type", {"enum": ["Buy", "Sell"]}),
    (True, "secure the doors", "unlock", {"type": "boolean"}),
    (False, "secure the car and unlock the doors", "unlock", {"type": "boolean"}),
    ("summary of the project.", "Send the summary of the project.", "text", {}),
    ("AAPL", "buy aapl", "symbol", {}),
    ("W1001", "cancel w1001", "order_id", {}),
    ("rear_left", "open the left rear door", "door", {"enum": ["rear_left", "rear_right"]}),
    ("2027-10-07", "on October 17, 2027", "date", {}),
    ("Tue 11:00", "on Thursday at 11:00", "slot", {}),
    ("Tue 11:00", "on Tuesday at 11:005", "slot", {}),
    ("Tue 11:00", "on Tuesday", "slot", {}),
    (0.2, "a rise by 120%", "discount", {}),
    ("2027-10-07", "on October 7", "date", {}),
    ("STOP", "start it", "mode", {"description": '[Enum]: ["START", "STOP"]'}),
    (49, "forty of them", "amount", {}),
    (True, "list the files", "recursive", {"type": "boolean"}),
]


@pytest.mark.parametrize(("value", "text", "name", "schema"), FORMS)
def test_forms_that_people_use(value: object, text: str, name: str, schema: dict) -> None:
    assert stated(value, text, name, schema)


@pytest.mark.parametrize(("value", "text", "name", "schema"), OTHERS)
def test_what_is_another_value(value: object, text: str, name: str, schema: dict) -> None:
    assert not stated(value, text, name, schema)


@pytest.mark.parametrize(
    ("number", "tool", "name"),
    [
        (127, "place_order", "order_type"),  # "Let's acquire 150 shares"
        (80, "lockDoors", "unlock"),  # "Please secure all doors"
        (151, "post_tweet", "tags"),  # "hashtags 'TravelUpdate' and 'BusinessTrip'"
        (18, "post_tweet", "mentions"),  # "mentioning Jerry"
        (196, "resolve_ticket", "resolution"),  # "Leave resolution with empty string."
    ],
)
def test_forms_of_the_benchmark(number: int, tool: str, name: str) -> None:
    task, env = benchmark_tasks()[f"multi_turn_base_{number}"], BfclEnvironment()
    found = sources(task, gold_trace(task, env).responses, tool_specs())
    (source,) = [
        row[name] for row, call in zip(found, task.calls, strict=True) if call.name == tool
    ]
    assert source is Source.HERE


def test_all_of_a_closed_set() -> None:
    doors = {"type": "array", "items": {"enum": ["front", "rear"]}}
    assert all_stated(["rear", "front"], "lock all the doors", doors)
    assert not all_stated(["rear"], "lock all the doors", doors)
    assert not all_stated(["rear", "front"], "lock the doors", doors)


words = st.text("ab1._ ", min_size=1, max_size=6)


@given(words, words, words)
def test_whole_words_only(before: str, value: str, after: str) -> None:
    assert says(f"x {value} y", value)
    if value[0].isalnum():
        assert not says(f"z{value} ", value) or value in f"z{value}"[1:-1]


@given(st.recursive(st.integers(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)))
def test_leaves_are_scalars(value: object) -> None:
    assert all(isinstance(leaf, int) for leaf in leaves(value))


def test_a_sign_of_a_closed_set_is_stated_only_where_it_is() -> None:
    schema = {"enum": ["+", "-", "\u0434\u0430"]}
    assert stated("+", "compute 5 + 6", schema=schema)
    assert not stated("+", "please compute 5 and 6", schema=schema)
    assert not stated("\u0434\u0430", "hello", schema=schema)


def test_what_json_escapes_is_shown() -> None:
    calls = (Call(name="look"), Call(name="take", arguments={"name": "M\u00fcller"}))
    turns = (Turn(user="Look, and take it.", ground_truth=calls),)
    task = Task(category="base", classes=("A",), start={}, turns=turns)
    shown = json.dumps({"name": "M\u00fcller"})
    assert "\\" in shown
    assert sources(task, [[shown, "-"]], {})[1] == {"name": Source.OUTPUT}
