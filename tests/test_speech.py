"""How whole sentences put values and point at them, and who speaks."""

import random

import pytest

from rods.synthesis.catalogue import described
from rods.synthesis.speech import COMPACT, SPOKEN, pick, short, singular, spoken, unlabelled
from rods.synthesis.story import PlainVoice, SentenceVoice, names, themes
from rods.task import ToolSpec

TEXTS = [
    (["driver", "rear_left", "passenger"], "driver, rear_left and passenger"),
    (["driver"], "driver"),
    ([], "none"),
    ("", '""'),
    (True, "true"),
    (2.5, "2.5"),
    ({"status": "Closed", "newPriority": 3}, "status Closed and new priority 3"),
    ({"title": "It is late"}, 'title "It is late"'),
]
NOUNS = [
    ("searched file name", "file"),
    ("file to order", "file"),
    ("order id", "order"),
    ("order type", "order type"),
    ("my user id", "user"),
    ("my first name", "first name"),
    ("numbers to sum", "numbers"),
]
POINTED = [
    ("cancel the order {x}", "order id", "cancel {x}"),
    ("order {x}", "order id", "order {x}"),
    ("buy {x} shares of it", "share count", "buy {x} of it"),
    ("sell at a price of {x}", "order price", "sell at {x}"),
    ("pay with {x} as the access token", "access token", "pay with {x}"),
    ("note it, taking {x} as the patient id", "patient id", "note it, taking {x}"),
    ("fly in {x} class today", "travel class", "fly in {x} today"),
    ("create an empty file called {x} here", "new file name", "create {x} here"),
    ("multiply {x} by {y}", "first factor", "multiply {x} by {y}"),
]


@pytest.mark.parametrize(("value", "text"), TEXTS)
def test_values_are_put_as_people_write_them(value: object, text: str) -> None:
    assert spoken(value) == text


def test_texts_are_quoted_unless_they_quote() -> None:
    assert spoken(["a b", "c"], quoted=True) == '"a b" and "c"'
    assert spoken('say "no"', quoted=True) == 'say "no"'


@pytest.mark.parametrize(("noun", "thing"), NOUNS)
def test_a_noun_is_shortened_to_what_it_names(noun: str, thing: str) -> None:
    assert short(noun) == thing


@pytest.mark.parametrize(("text", "noun", "expected"), POINTED)
def test_what_names_itself_is_not_named_twice(text: str, noun: str, expected: str) -> None:
    assert unlabelled(text, "x", noun) == expected


def test_a_single_thing_is_singular() -> None:
    assert singular("buy {x} shares of {y}", "x") == "buy {x} share of {y}"
    assert singular("work out {x} times {y}", "x") == "work out {x} times {y}"


def test_the_plain_voice_draws_nothing_to_point() -> None:
    rng = random.Random(1)
    assert [pick(options, rng).format("x") for options in COMPACT][1:3] == [
        "the last x",
        "the previous x",
    ]
    assert rng.random() == random.Random(1).random()
    assert all(len(options) > 1 for options in SPOKEN)
    assert (PlainVoice.whole, SentenceVoice.whole) == (False, True)


def test_every_frame_takes_its_words() -> None:
    voice = SentenceVoice()
    frames = [*voice.FIRST, *voice.LATER]
    assert all(frame.count("{}") == 1 and frame[-1] in ".?" for frame in frames)
    for answer in voice.ANSWERS:
        made = answer.format("order id", "17")
        assert made.count("order id") == made.count("17") == 1
    for opening in voice.OPENINGS:
        assert opening.format(name="Ann", goal="late").endswith(("late.", "some help."))


def test_purposes_and_names_are_many_and_distinct() -> None:
    goals = [theme.goal for theme in themes()]
    assert len(set(goals)) == len(goals)
    by_class = [owner for theme in themes() for owner in theme.classes]
    assert all(by_class.count(owner) >= 12 for owner in by_class) and len(set(by_class)) == 8
    assert sum(not theme.classes for theme in themes()) >= 15
    assert len(set(names())) == len(names()) >= 200


def test_an_own_tool_is_told_from_its_document() -> None:
    tool = ToolSpec(
        name="book_room",
        owner="Hotel",
        description="Books a room; it must be free. It is locked.",
        parameters={n: {"type": "string"} for n in ("guest", "lastNight", "room_view")},
        required=("guest", "lastNight"),
        returns={},
    )
    entry = described(tool)
    assert len(set(entry.tell)) == 4
    assert entry.tell[0] == "book a room with the guest {guest} and the last night {lastNight}"
    assert all(t.count("{guest}") == t.count("{lastNight}") == 1 for t in entry.tell)
    assert entry.tell_also == {"room_view": "with the room view set to {room_view}"}
    assert described(tool.model_copy(update={"required": ()})).tell == ("book a room",)
