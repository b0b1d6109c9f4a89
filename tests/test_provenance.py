"""Value flow, read off executed calls."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.notation import parse_calls
from rods.provenance import Link, field, fields, find_links
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
    ):
        task = benchmark_tasks()[f"multi_turn_base_{number}"]
        assert link in find_links(task.calls, gold_trace(task, ENV).responses)


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


def test_what_proves_a_flow() -> None:
    assert link(11, '{"n": 11}') == [Link(0, "n", 1, "x")]
    assert link(11.0, '{"n": 11}') == [Link(0, "n", 1, "x")]
    assert link(0.5, '{"deep": {"n": 0.5}}') == [Link(0, "n", 1, "x")]
    assert link("ab", '{"a": "ab"}', '{"b": "ab"}', '{"c": "abc"}') == [Link(1, "b", 3, "x")]
    for value in (10, -10, 7.0, True, None, "a", [11], {"n": 11}):
        assert link(value, json.dumps({"n": value})) == []
    for response in ('{"n": [11]}', "11", "n: 11", '{"n": "11"}', '{"n": 12}', "[" * 100_000):
        assert link(11, response) == []


keys = st.sampled_from("abc")
scalars = st.none() | st.booleans() | st.integers(-20, 20) | st.floats() | st.text("xy", max_size=3)
answers = st.recursive(scalars, lambda v: st.lists(v) | st.dictionaries(keys, v), max_leaves=10)


@given(answers.map(json.dumps) | st.text())
def test_a_field_is_the_first_of_its_name(response: str) -> None:
    found: dict[str, Any] = {}
    for key, token in fields(response):
        found.setdefault(key, token)
    for key in "abc":
        value = field(response, key)
        assert (value is None) == (key not in found)
        assert value is None or str(value) == str(found[key][1])


@settings(max_examples=50)
@given(st.lists(st.tuples(answers, answers), max_size=6))
def test_links_go_back_to_a_response_that_holds_the_value(made: list[tuple[Any, Any]]) -> None:
    calls = [Call(name="f", arguments={"x": value}) for value, _ in made]
    responses = [json.dumps(answer) for _, answer in made]
    for producer, key, consumer, parameter in find_links(calls, [responses]):
        assert producer < consumer and parameter == "x"
        value = calls[consumer].arguments["x"]
        assert value in [token[1] for k, token in fields(responses[producer]) if k == key]
