"""The notions of a task's meaning, on planted examples: right ones and faulty ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workshop
from market import ENV, TOOLS, start, trace
from rods.synthesis.meaning.data import MAX_NODES, STATE_NAMES, scan
from rods.synthesis.meaning.equalities import Equalities
from rods.synthesis.meaning.keeping import with_equalities
from rods.synthesis.meaning.learned import Learned, learned_from
from rods.synthesis.meaning.pointing import SUPERLATIVE
from rods.synthesis.meaning.purpose import reads_for_nothing
from rods.synthesis.meaning.ranges import Ranges
from rods.synthesis.meaning.records import RecordPairs
from rods.synthesis.meaning.references import ambiguous_references, references
from rods.synthesis.meaning.undoing import undone_steps

CUSTOMER = ("Show me the customer C0.", "get_customer('C0')")
ORDERS = ("Open order W100 and order W101.", "[get_order('W100'), get_order('W101')]")
PRICES = ("List the prices.", "list_prices()")


@pytest.mark.parametrize(
    ("turns", "candidates"),
    [
        ([CUSTOMER, ("Charge 12 to the visa card.", "charge('card_00', 12)")], ["card_00"]),
        ([CUSTOMER, ("Charge 12 to that card.", "charge('card_00', 12)")], ["card_00", "card_01"]),
        ([CUSTOMER, ("Cancel the first order.", "cancel_order('W100')")], ["W100"]),
        ([CUSTOMER, ("Cancel the last order.", "cancel_order('W101')")], ["W101"]),
        ([CUSTOMER, ("Cancel the last order.", "cancel_order('W100')")], ["W100", "W101"]),
        ([ORDERS, ("Cancel that order.", "cancel_order('W101')")], ["W101"]),
        ([ORDERS, ("Cancel that order.", "cancel_order('W100')")], ["W100", "W101"]),
        ([ORDERS, ("Cancel the previous order.", "cancel_order('W100')")], ["W100"]),
        ([PRICES, ("Put the cheapest thing in my basket.", "put('S101')")], ["S101"]),
        ([PRICES, ("Put the cheapest thing in my basket.", "put('S202')")], None),
        ([PRICES, ("Put the latest thing in my basket.", "put('S101')")], None),
        ([PRICES, ("Put the second one in my basket.", "put('S202')")], ["S202"]),
        ([("Which orders has C0?", "find_orders('C0')"), ("Cancel it.", "cancel_order('W100')")],
         ["W100", "W101"]),
    ],
)  # fmt: skip
def test_what_words_could_mean(turns: list[tuple[str, str]], candidates: list[str] | None) -> None:
    (found,) = references(trace(*turns))
    if candidates is None:  # any of all that were shown
        assert found.ambiguous and len(found.candidates) >= 2
    else:
        assert list(found.candidates) == candidates
    assert found.turn == 1


def test_all_of_them_are_no_rivals_of_each_other() -> None:
    calls = "[cancel_order('W100'), cancel_order('W101')]"
    assert not ambiguous_references(trace(CUSTOMER, ("Cancel all of these orders.", calls)))
    assert not ambiguous_references(trace(CUSTOMER, ("Cancel the orders.", calls)))


def test_a_value_that_the_words_state_is_no_reference() -> None:
    assert references(trace(CUSTOMER, ("Cancel the order W100.", "cancel_order('W100')"))) == []


def test_a_value_said_in_another_turn_has_the_rivals_said_with_it() -> None:
    said = ("Put S101 and S202 in my basket.", "[put('S101'), put('S202')]")
    (found,) = references(trace(said, ("Now take something out.", "take_out('S101')")))
    assert found.candidates == ("S101", "S202")
    assert not ambiguous_references(trace(said, ("Take the last one out.", "take_out('S202')")))


@given(st.integers(2, 9), st.data())
@settings(max_examples=20)
def test_every_thing_of_a_list_could_be_meant(count: int, data: st.DataObject) -> None:
    state = start(tuple(10.5 + i for i in range(count)))
    skus = list(state["Market"]["catalogue"])
    chosen = data.draw(st.sampled_from(skus))
    (found,) = references(trace(PRICES, ("Put the thing in.", f"put('{chosen}')"), state=state))
    assert found.candidates[0] == chosen
    assert sorted(found.candidates) == sorted(skus)


SENT = [
    trace((f"Send W100 to Town{town}, {code}.", f"send_to('W100', 'Town{town}', '{code}')"))
    for town, code in (("A", 70_000), ("B", 70_001), ("C", 70_002))
]


@given(st.integers(0, 2), st.integers(0, 2))
def test_a_city_and_its_zip_code_are_of_one_record(city: int, code: int) -> None:
    pairs = RecordPairs()
    for seed in SENT:
        pairs.learn(seed)
    assert pairs.pairs == [(("send_to", "city"), ("send_to", "zip_code"), True)]
    town = f"Town{chr(65 + city)}"
    words = f"Send W100 to {town}, {70_000 + code}."
    made = trace((words, f"send_to('W100', '{town}', '{70_000 + code}')"))
    faults = [(found.first, found.second) for found in pairs.mixed(made)]
    assert faults == ([] if city == code else [((0, "city"), (0, "zip_code"))])
    assert len(pairs.judged(made)) == 1


def test_an_address_that_is_nowhere_is_not_mixed() -> None:
    pairs = RecordPairs()
    for seed in SENT:
        pairs.learn(seed)
    for city, code in (("Elsewhere", "70001"), ("TownA", "12345"), ("Elsewhere", "12345")):
        assert not pairs.mixed(
            trace((f"{city} {code} W100", f"send_to('W100', '{city}', '{code}')"))
        )


def test_too_few_or_contradicting_seed_tasks_show_nothing() -> None:
    few, mixed = RecordPairs(), RecordPairs()
    for seed in SENT[:2]:
        few.learn(seed)
    for seed in (*SENT, trace(("TownA 70002 W100", "send_to('W100', 'TownA', '70002')"))):
        mixed.learn(seed)
    assert few.pairs == mixed.pairs == []


PRICE = "Market/orders/*/items/*/price = Market/catalogue/*/price named by sku"


def learned_prices() -> Equalities:
    found = Equalities()
    for prices in ((12.5, 30.25, 47.75), (9.0, 8.5, 7.25, 6.5)):
        found.learn(start(prices))
    return found


def test_a_price_is_that_of_the_catalogue() -> None:
    equalities = learned_prices()
    assert PRICE in map(str, equalities.learned)
    state = start((20.0, 21.0))
    assert equalities.broken(state) == [] and len(list(equalities.judged(state))) > 1
    state["Market"]["orders"]["W101"]["items"][0]["price"] = 20.0
    (found,) = equalities.broken(state)
    assert str(found.equality) == PRICE and found.values == (20.0, 21.0)
    assert found.path == ("Market", "orders", "W101", "items", "0")


def test_what_is_equal_by_chance_is_not_learned() -> None:
    equalities = Equalities()
    for _ in range(9):
        equalities.learn(start())  # the same state again shows nothing new
    assert equalities.learned == frozenset()
    for number in range(9):  # of one value only
        equalities.learn({"A": {"x": {f"k{number}": {"a": 5, "b": 5}, "other": {"a": 5, "b": 5}}}})
    assert equalities.learned == frozenset()


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text("ab", max_size=2)
data = st.recursive(
    scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text("ab", max_size=2), v)
)


@given(st.lists(data, max_size=6))
@settings(max_examples=60)
def test_no_seed_state_breaks_what_it_shows(states: list[Any]) -> None:
    equalities = Equalities()
    for state in states:
        equalities.learn({"A": {"x": state}})
    for state in states:
        assert equalities.broken({"A": {"x": state}}) == []


def test_hostile_states_are_read_with_bounds() -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(50_000):
        inner["a"] = {"b": 1.5}
        inner = inner["a"]
    itself: dict[str, Any] = {"x": 1}
    itself["itself"] = itself
    wide = {"A": {"x": {str(i): {"v": i, "w": i} for i in range(400_000)}}}
    odd = {"A": {"x": {1: {2: float("nan")}, (1,): [{3}, {"k": object()}]}}}
    equalities = learned_prices()
    for state in (deep, itself, wide, odd, None, "text", 5, [[[]]]):
        assert len(scan(state, STATE_NAMES).entries) <= MAX_NODES + 1
        assert equalities.broken(state) == []
        equalities.learn(state)


def heated(*degrees: float) -> Ranges:
    found = Ranges(TOOLS)
    for number in degrees:
        found.learn(trace((f"Heat to {number}.", f"heat({number})")))
    return found


@pytest.mark.parametrize(
    ("number", "outside"), [(18, False), (21.5, False), (25, False), (385, True), (-60, True)]
)
def test_seed_tasks_show_a_range(number: float, outside: bool) -> None:
    (*found,) = heated(18, 19.5, 21, 22, 23).outside(
        trace((f"Heat to {number}.", f"heat({number})"))
    )
    assert [(f.position, f.parameter, f.value) for f in found] == (
        [(0, "degrees", number)] if outside else []
    )


def test_documents_and_schemas_set_limits() -> None:
    ranges = Ranges(TOOLS)
    assert ranges.of("dim", "level") == (0, 100, "document")
    for level, faults in ((0, 0), (100, 0), (101, 1), (-1, 1)):
        assert len(ranges.outside(trace((f"Dim to {level}.", f"dim({level})")))) == faults
    # A document that a seed task contradicts was not understood.
    ranges.learn(trace(("Dim to 150.", "dim(150)")))
    assert ranges.of("dim", "level") != (0, 100, "document")


def test_a_number_that_was_shown_is_in_range() -> None:
    ranges = Ranges(TOOLS)
    for number in (1.5, 2.5, 3.5):
        ranges.learn(trace((f"Charge {number}.", f"charge('card_00', {number})")))
    words = "Charge my card card_00 with its price.", "charge('card_00', 47.75)"
    assert not ranges.outside(trace(PRICES, words))
    assert ranges.outside(trace(words))


def test_reads_for_nothing() -> None:
    words = "Cancel the order W100, and be quick."
    made = trace((words, "[get_customer('C0'), list_prices(), cancel_order('W100')]"))
    assert reads_for_nothing(made) == [0, 1]
    asked = trace(("Show me the catalogue with its prices and cancel W100.", made_calls(made)))
    assert reads_for_nothing(asked) == [0]
    feeding = trace(CUSTOMER, ("Charge 30 to my visa.", "charge('card_00', 30)"))
    assert reads_for_nothing(feeding) == []


@pytest.mark.parametrize(
    ("words", "calls", "at_fault"),
    [
        # A later state needs it: the note is written in the folder.
        ("Write N1 where it belongs.", "[go_to('blue'), write_note('N1')]", []),
        ("Write N1 where it belongs.", "[write_note('N1'), go_to('blue')]", [1]),
        # A search for what is in one of the listed boxes; it ends where what it found is used.
        ("Send me the vase.", "[all_boxes(), unpack('B1'), unpack('B2'), send('T22')]", []),
        ("Send me the vase.", "[all_boxes(), unpack('B2'), unpack('B1'), send('T22')]", []),
        ("Send me the vase.", "[all_boxes(), unpack('B2'), send('T22'), unpack('B1')]", [3]),
        ("Send me the vase in B2.", "[all_boxes(), unpack('B1'), unpack('B2'), send('T22')]", [1]),
        ("Send me the vase.", "[all_boxes(), unpack('B3'), unpack('B2'), send('T22')]", [1]),
        # The words name the thing whose id it takes, or another one.
        ("Send the oak chair. The vase next.", "[all_things(), weigh('T11'), send('T22')]", []),
        ("Send the tin whistle.", "[all_things(), weigh('T11'), send('T22')]", [1]),
        ("Send the oak chair.", "[all_things(), weigh('T11'), send('T11')]", [1]),
        # Other words for what it does.
        ("Which average did we reach?", "[all_marks(), mean([62.5, 71.5])]", []),
        ("Which mark did we reach?", "[all_marks(), mean([62.5, 71.5])]", [1]),
        # It works out an amount from what was shown, without the state.
        ("Tell me the total.", "[all_marks(), put_together([62.5, 71.5])]", []),
        ("Tell me the marks.", "[all_marks(), put_together([62.5, 71.5])]", [1]),
        ("Tell me the total.", "[all_marks(), put_together([62.5, 99.5])]", [1]),
        ("Tell me the total.", "[all_marks(), within([62.5, 71.5])]", [1]),
        # It decides a condition.
        ("If the lid is shut, write N1.", "[lid_details(), write_note('N1')]", []),
        ("The lid is shut, so write N1.", "[lid_details(), write_note('N1')]", [0]),
    ],
)
def test_what_reads_are_for(words: str, calls: str, at_fault: list[int]) -> None:
    assert reads_for_nothing(workshop.trace(words, calls)) == at_fault


def made_calls(made: Any) -> str:
    return f"[{', '.join(map(str, made.calls))}]"


@pytest.mark.parametrize(
    ("turns", "how"),
    [
        ([("Put it in, take it out.", "[put('S101'), take_out('S101')]")], "restores"),
        ([("Put it in.", "put('S101')"), ("Take it out.", "take_out('S101')")], ""),
        ([("Order, heat, remove.", "[place_order('C0', 'S101'), heat(19), remove_order('W904')]")],
         "removes"),
        ([("Order, cancel.", "[place_order('C0', 'S101'), cancel_order('W904')]")], "cancels"),
        ([("Order.", "place_order('C0', 'S101')"), ("Cancel.", "cancel_order('W904')")], ""),
        ([("Both.", "[place_order('C0', 'S101'), place_order('C0', 'S202')]")], ""),
        ([("Heat.", "[heat(19), cancel_order('W100')]")], ""),
        ([("Swap.", "[put('S101'), put('S202'), take_out('S101')]")], "removes"),
    ],
)  # fmt: skip
def test_steps_that_undo_each_other(turns: list[tuple[str, str]], how: str) -> None:
    found = undone_steps(trace(*turns))
    assert [one.how for one in found] == ([how] if how else [])


def test_all_notions_together_can_be_written() -> None:
    learned = Learned(TOOLS)
    for seed in SENT:
        learned.learn(seed)
    faults = learned.faults(
        trace(CUSTOMER, ("TownA 70002 W100", "send_to('W100', 'TownA', '70002')"))
    )
    assert {name for name, found in faults.items() if found} == {"mixed records"}
    assert json.loads(json.dumps([one._asdict() for one in faults["mixed records"]]))


@given(st.lists(st.floats(1, 500).map(lambda price: round(price, 2)), min_size=1, max_size=6))
def test_a_redrawn_state_keeps_its_equalities(prices: list[float]) -> None:
    equalities, drawn = learned_prices(), start((10.0,) * len(prices))
    for thing, price in zip(drawn["Market"]["catalogue"].values(), prices, strict=True):
        thing["price"] = price
    before = json.dumps(drawn)
    kept = with_equalities(drawn, equalities)
    assert json.dumps(drawn) == before and equalities.broken(kept) == []
    assert kept["Market"]["catalogue"] == drawn["Market"]["catalogue"]
    assert [o["items"][0]["price"] for o in kept["Market"]["orders"].values()] == prices


def test_lists_that_name_each_others_entries_become_equal() -> None:
    def state(ones: list[float], twos: list[float]) -> dict[str, Any]:
        lists = {"x": ones, "y": twos}
        return {
            "A": {
                n: [{"sku": f"k{i}", "price": p} for i, p in enumerate(ps)]
                for n, ps in lists.items()
            }
        }

    equalities = Equalities()
    equalities.learn(state([1.5, 2.5, 3.5, 4.5, 5.5], [1.5, 2.5, 3.5, 4.5, 5.5]))
    drawn = state([6.5, 7.5], [6.5, 8.5])
    assert equalities.broken(drawn)
    assert equalities.broken(with_equalities(drawn, equalities)) == []


def test_fixed_paths_that_are_equal() -> None:
    def state(one: str, two: str) -> dict[str, Any]:
        return {"Bank": {"user": one, "mail": {"sender": two}}}

    equalities = Equalities()
    for name in ("ann", "bob", "cid", "dee", "eve"):
        equalities.learn(state(name, name))
    (found,) = equalities.broken(state("fay", "gus"))
    assert found.values == ("fay", "gus") and "Bank/mail/sender" in str(found.equality)
    assert with_equalities(state("fay", "gus"), equalities) == state("gus", "gus")


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("between 0 and 1,000", (0, 1000)),
        ("from 1 to 10,000 units", (1, 10_000)),
        ("from 9 to 17:30", None),
        ("(1-5)", (1, 5)),
    ],
)
def test_limits_that_a_document_writes(text: str, limits: tuple[float, float] | None) -> None:
    schema = {"type": "number", "description": text}
    tool = TOOLS["heat"].model_copy(update={"parameters": {"degrees": schema}})
    found = Ranges({"heat": tool}).of("heat", "degrees")
    assert (found and found[:2]) == limits


def test_ranges_of_zeros_and_of_numbers_below_zero() -> None:
    for numbers, inside in (((0,), 99), ((-72, -73, -74), -75), ((-5,), -6), ((1, 10**400), 2)):
        ranges = Ranges(TOOLS)
        for number in numbers:
            ranges.learn(trace((f"Heat to {number}.", f"heat({number})")))
        assert not ranges.outside(trace((f"Heat to {inside}.", f"heat({inside})")))


@pytest.mark.parametrize("word", ["biggest", "hottest", "youngest", "cheapest", "newest"])
def test_superlatives(word: str) -> None:
    assert SUPERLATIVE.search(f"the {word} one")


def test_a_seed_task_that_does_not_load_shows_nothing() -> None:
    bad = trace(PRICES, state={"Market": {"nope": 1}}).task
    assert learned_from([bad], ENV, TOOLS).records.pairs == []
