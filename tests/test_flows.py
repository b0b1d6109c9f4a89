"""Flows of values from responses to arguments, planted and in the benchmark."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.notation import parse_calls
from rods.flows import SMALL, Link, find_links, parts, placed, spots, values_at
from rods.reward import gold_trace
from rods.task import Call, Task, Turn

ENV, TOOLS = BfclEnvironment(), tool_specs()


def task_of(*turns: str) -> Task:
    made = tuple(Turn(user="-", ground_truth=parse_calls(calls, TOOLS)) for calls in turns)
    return Task(category="base", classes=("TradingBot",), start={}, turns=made)


LOGIN = "trading_login('a', 'b')"
CHAIN = f"[{LOGIN}, get_stock_info('AAPL')]", "place_order('Buy', 'AAPL', 227.16, 20)"


def test_links_of_a_known_chain() -> None:
    task = task_of(*CHAIN, "[get_order_details(12446), cancel_order(12446)]")
    responses = gold_trace(task, ENV).responses
    assert find_links(task.calls, responses) == [
        Link(1, "price", 2, "price"),
        Link(2, "order_id", 3, "order_id"),
    ]


def test_links_of_the_benchmark() -> None:
    for number, link in (
        (102, Link(0, "order_id", 1, "order_id")),
        (106, Link(0, "price", 1, "price")),
        (40, Link(0, "current_directory_content[]", 1, "folder")),
        (146, Link(0, "watchlist[]", 1, "symbol")),
    ):
        task = benchmark_tasks()[f"multi_turn_base_{number}"]
        found = find_links(task.calls, gold_trace(task, ENV).responses)
        assert any((li.key, li.parameter) == (link.key, link.parameter) for li in found), number


def test_a_value_said_before_does_not_flow() -> None:
    task = task_of("get_stock_info('AAPL')", *CHAIN[1:], "[get_stock_info('GOOG')]")
    said = Call(name="add", arguments={"a": 227.16, "b": 1})
    calls, responses = [said, *task.calls], [["{}"], *gold_trace(task, ENV).responses]
    assert find_links(task.calls, responses[1:]) == [Link(0, "price", 1, "price")]
    assert find_links(calls, responses) == []


def link(value: Any, *responses: str) -> list[Link]:
    """Links of a last call with this argument, after calls with these responses."""
    calls = [Call(name="pwd")] * len(responses) + [Call(name="f", arguments={"x": value})]
    return find_links(calls, [[*responses, "{}"]])


ORDERS = '{"orders": {"W1001": {"total": 44.5}, "W1002": {"total": 9.5}}}'
PLANTED = {
    "whole text": ("user_771", "user_771", "", "x"),
    "whole JSON string": ("user_771", '"user_771"', "", "x"),
    "whole number": (4711, "4711", "", "x"),
    "sentence": ("W1001", "The order W1001 was placed.", "~A9", "x"),
    "sentence in a field": ("W1001", '{"message": "Order W1001 placed"}', "message~A9", "x"),
    "number in a sentence": (227.16, "It costs $227.16 today.", "~9.9", "x"),
    "large number in a sentence": (12446, '{"note": "id 12446, pending"}', "note~9", "x"),
    "two words in a sentence": ("New York", "The nearest city is New York.", "~Aa Aa", "x"),
    "item of a list": ("b.txt", '{"names": ["a.txt", "b.txt"]}', "names[]", "x"),
    "record of a list": ("W1001", '[{"order_id": "W1001", "total": 44.5}]', "order_id", "x"),
    "key of a mapping": ("W1002", ORDERS, "orders{}", "x"),
    "key of the response": ("W1001", '{"W1001": "pending"}', "{}", "x"),
    "list argument": (["W1001"], '[{"order_id": "W1001"}]', "order_id", "x[]"),
    "nested argument": ({"pay": {"card": "C-19"}}, '{"card": "C-19"}', "card", "x.pay.card"),
    "list of records": ([{"id": "A17"}], '{"ids": ["A17", "A18"]}', "ids[]", "x[].id"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_flows(name: str) -> None:
    value, response, key, parameter = PLANTED[name]
    assert link(value, response) == [Link(0, key, 1, parameter)]
    ((_, leaf),) = parts({"x": value})
    assert leaf in values_at(response, key)
    again = placed({}, parameter, [leaf])
    assert again == {"x": value}


@pytest.mark.parametrize(
    ("value", "response"),
    [
        (10, '{"n": 10}'),
        (-10, '{"n": -10}'),
        (7.0, '{"n": 7}'),
        (True, '{"n": true}'),
        (None, '{"n": null}'),
        ("a", '{"n": "a"}'),
        (12, "You have 12 messages."),
        ("document", "The document was removed."),
        ("Sell", "Sell order placed for AAPL."),
        ("W100", "The order W1001 was placed."),
        ("total", '{"total": 44.5}'),
        (11, '{"n": "11"}'),
        (11, '{"n": 12}'),
        ("x", "[" * 100_000),
    ],
)
def test_coincidences_do_not_count(value: Any, response: str) -> None:
    assert link(value, response) == []


def test_the_latest_response_and_structure_first() -> None:
    assert link("ab", '{"a": "ab"}', '{"b": "ab"}', '{"c": "abc"}') == [Link(1, "b", 3, "x")]
    assert link("W1", '{"id": "W1"}', "done with W1, see W1 there") == [Link(0, "id", 2, "x")]


def test_two_items_of_a_list_flow_once() -> None:
    made = link(["W1", "W2"], '[{"id": "W1"}, {"id": "W2"}]')
    assert made == [Link(0, "id", 1, "x[]")]


CHAIN_TASKS = """
- id: exchange
  start:
    Store:
      emails: {ann@x.org: user_771}
      users: {user_771: {name: Ann, orders: ["W1001", "W1002"]}}
      orders:
        W1001: {items: [{item_id: "4711001", product_id: "8800123"}]}
        W1002: {items: []}
      products: {"8800123": {"4711001": {size: S}, "4711002": {size: L}}}
  turns:
  - user: I am ann@x.org. Please exchange my shirt for a large one.
    calls:
    - find_user(email='ann@x.org')
    - describe_user(user_id='user_771')
    - order_items(order_id='W1001')
    - variants(product_id='8800123')
    - "exchange(order_id='W1001', items=[{'old': '4711001', 'new': '4711002'}])"
"""


def test_a_chain_over_all_kinds_of_responses(rods, tmp_path: Path, monkeypatch) -> None:
    """An id from a text, one from a sentence, one from a record of a list, one from a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parent)
    (tmp_path / "tasks.yaml").write_text(CHAIN_TASKS)
    own = ("--env", "chain_tools:Store", "--tasks", "tasks.yaml")
    done = rods("profile", "exchange", *own, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["edges"] == [[at, at + 1, "value"] for at in range(4)] and found["depth"] == 5


RETAIL_START = """
    Retail:
      users:
        ann_lee_1001:
          first: Ann
          last: Lee
          zip: "92107"
          payment_methods: {gift_card_66: {balance: 35.0}, credit_card_60: {last_four: "6976"}}
          orders: ["#W8955613", "#W4250821"]
      orders:
        "#W8955613":
          status: delivered
          items:
          - {name: Shirt, product_id: "8800123", item_id: "4711001", price: 22.5}
          - {name: Lamp, product_id: "8800456", item_id: "4711003", price: 41.75}
        "#W4250821": {status: pending, items: []}
      products:
        "8800123": {variants: {"4711001": {size: S}, "4711002": {size: L}}}
        "8800456": {variants: {"4711003": {color: red}, "4711004": {color: blue}}}
"""
LOOK_UP = """
    - find_user_id_by_name_zip(first_name='Ann', last_name='Lee', zip='92107')
    - get_user_details(user_id='ann_lee_1001')
    - get_order_details(order_id='#W8955613')
"""
RETAIL = {
    "return": (
        """
    - "return_delivered_order_items(order_id='#W8955613', item_ids=['4711001', '4711003'],
      payment_method_id='credit_card_60')"
""",
        # The items from the order, the card from the user.
        [[0, 1], [1, 2], [1, 3], [2, 3]],
        4,
    ),
    "exchange": (
        """
    - get_product_details(product_id='8800123')
    - get_product_details(product_id='8800456')
    - "exchange_delivered_order_items(order_id='#W8955613', item_ids=['4711001', '4711003'],
      new_item_ids=['4711002', '4711004'], payment_method_id='credit_card_60')"
""",
        # Both products from the order, of each the old and the new item, the card from the user.
        [[0, 1], [1, 2], [1, 5], [2, 3], [2, 4], [3, 5], [4, 5]],
        5,
    ),
}


@pytest.mark.parametrize("name", RETAIL)
def test_chains_of_retail_tools(name: str, rods, tmp_path: Path, monkeypatch) -> None:
    calls, edges, depth = RETAIL[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parent)
    turn = f"  turns:\n  - user: I am Ann Lee, 92107. Please {name} shirt and lamp.\n    calls:"
    task = f"- id: {name}\n  start:{RETAIL_START}{turn}{LOOK_UP.rstrip()}{calls}"
    (tmp_path / "tasks.yaml").write_text(task)
    own = ("--env", "retail_tools:Retail", "--tasks", "tasks.yaml")
    done = rods("profile", name, *own, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["edges"] == [[*edge, "value"] for edge in edges]
    assert found["depth"] == depth


keys = st.sampled_from("abc")
scalars = (
    st.none() | st.booleans() | st.integers(-20, 20) | st.floats() | st.text("xy1W ", max_size=5)
)
answers = st.recursive(scalars, lambda v: st.lists(v) | st.dictionaries(keys, v), max_leaves=10)


@settings(max_examples=50)
@given(st.lists(st.tuples(answers, answers.map(json.dumps) | st.text("xy1W. ")), max_size=6))
def test_links_go_back_to_a_response_that_holds_the_value(made: list[tuple[Any, str]]) -> None:
    calls = [Call(name="f", arguments={"x": value}) for value, _ in made]
    responses = [answer for _, answer in made]
    for producer, key, consumer, parameter in find_links(calls, [responses]):
        assert producer < consumer
        leaves = [leaf for place, leaf in parts(calls[consumer].arguments) if place == parameter]
        assert any(leaf in values_at(responses[producer], key) for leaf in leaves)


@given(answers.map(json.dumps) | st.text())
def test_places_of_a_response_have_their_values(response: str) -> None:
    for key, value in spots(response):
        by_chance = value is None or isinstance(value, bool) or len(str(value)) < 4
        broken = isinstance(value, float) and not math.isfinite(value)
        by_chance = by_chance or value in range(-SMALL, SMALL + 1)  # -0.0 has four characters
        assert by_chance or broken or value in values_at(response, key)


def test_items_of_a_list_in_a_list_have_no_place() -> None:
    calls = [Call(name="f"), Call(name="g", arguments={"m": [[1001, 1002], 1003]})]
    found = find_links(calls, [[json.dumps({"x": 1001, "y": 1003}), ""]])
    assert found == [Link(0, "y", 1, "m[]")]
