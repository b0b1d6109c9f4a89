"""Values that the words refer to and do not state: only if the reference is unambiguous."""

import json
import random
from collections.abc import Sequence

from rods.synthesis.catalogue import phrases
from rods.synthesis.speech import References
from rods.synthesis.stages import Executed, Plan
from rods.task import Call

Step = tuple[str, dict[str, object], object]


def references(turns: Sequence[Sequence[Step]], whole: bool = False) -> References:
    """With what responses produced, and with what the user said before the last turn."""
    calls = tuple(tuple(Call(name=n, arguments=a) for n, a, _ in turn) for turn in turns)
    responses = tuple(tuple(json.dumps(r) for _, _, r in turn) for turn in turns)
    plan = Plan("base", ("TradingBot",), ())
    found = References(Executed(plan, {}, calls, responses), phrases(), whole, random.Random(0))
    found.add_responses(str)
    found.add_words(frozenset({len(turns) - 1}))
    return found


def detail(order: int) -> Step:
    return ("get_order_details", {"order_id": order}, {"status": "Open"})


def show(name: str) -> Step:
    return ("cat", {"file_name": name}, {"text": "-"})


def place(order: int) -> Step:
    return ("place_order", {}, {"order_id": order})


def test_the_last_and_the_previous_product_can_be_pointed_at() -> None:
    found = references([[place(101), place(102), detail(102), detail(101)]])
    assert found.get((2, "order_id")) == "the last order id"
    assert found.get((3, "order_id")) == "the previous order id"


def test_an_older_product_is_said() -> None:
    found = references([[place(101), place(102), place(103), detail(101)]])
    assert found.get((3, "order_id")) == ""


def test_whole_sentences_speak_of_the_thing() -> None:
    product = references([[place(101), detail(101)]], True).get((1, "order_id"))
    named = references([[show("a.txt")], [show("a.txt")]], True).get((1, "file_name"))
    assert "order" in product.split() and "id" not in product.split()
    assert "file" in named.split() and "name" not in named.split()


def test_what_was_named_before_can_be_pointed_at() -> None:
    assert references([[show("a.txt")], [show("a.txt")]]).get((1, "file_name")) == (
        "the same file name"
    )
    assert references([[show("a.txt")], [show("b.txt")]]).get((1, "file_name")) == ""
    assert references([[show("a.txt"), show("a.txt")]]).get((1, "file_name")) == ""


def test_of_two_named_in_a_turn_neither_can_be_pointed_at() -> None:
    for name in ("a.txt", "b.txt"):
        found = references([[show("a.txt"), show("b.txt")], [show(name)]])
        assert found.get((2, "file_name")) == ""


def test_what_was_pointed_at_counts_as_named() -> None:
    turns = [[detail(100)], [place(101), detail(101)], [detail(100)]]
    assert references(turns).get((3, "order_id")) == ""


def test_nothing_is_not_pointed_at() -> None:
    find: Step = ("find", {"path": None}, {"matches": []})
    assert references([[detail(100)], [find]]).get((1, "path")) == ""
