"""The complexity profile: read off execution, with a distance that means something."""

import random
from functools import cache

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from rods.envs.bfcl import BfclEnvironment
from rods.envs.bfcl_data import benchmark_tasks, tool_specs
from rods.envs.notation import parse_calls
from rods.profile import Profile, distance, profile
from rods.task import Task, Turn

ENV, TOOLS = BfclEnvironment(), tool_specs()


def profile_of(*script: tuple[str, str], classes: str, category: str = "base") -> Profile:
    turns = tuple(Turn(user=u, ground_truth=parse_calls(c, TOOLS)) for u, c in script)
    start = {"GorillaFileSystem": {"root": {"home": {"type": "directory", "contents": {}}}}}
    return profile(Task(category=category, classes=(classes,), start=start, turns=turns), ENV)


@cache
def seeds() -> list[Profile]:
    return [profile(task, ENV) for task in list(benchmark_tasks().values())[::40]]


ORDER = profile_of(
    ("log a in with b, what does AAPL cost", "[trading_login('a', 'b'), get_stock_info('AAPL')]"),
    ("buy 20 of it at that price", "[place_order('Buy', 'AAPL', 227.16, 20)]"),
    ("show order 12446 and cancel it", "[get_order_details(12446), cancel_order(12446)]"),
    classes="TradingBot",
)
FILES = profile_of(
    ("make the folder a and enter it", "[mkdir('a'), cd('a')]"),
    ("make the file b there", "[touch('b')]"),
    ("list everything", "[ls()]"),
    classes="GorillaFileSystem",
)


def test_values_flow_and_the_state_hangs_together() -> None:
    assert ORDER.edges >= {(1, 2, "value"), (2, 3, "value"), (0, 2, "state")}
    assert (3, 4, "value") not in ORDER.edges  # the value stood in an argument before
    assert ORDER.depth == 3
    assert FILES.edges == {(0, 1, "state"), (1, 3, "state"), (2, 3, "state")}
    assert FILES.depth == 3


def test_roles_are_read_off_the_effect() -> None:
    roles = [[role for _, role in turn] for turn in FILES.shape]
    assert roles == [["write", "open"], ["write"], ["read"]]


def test_what_a_turn_leaves_to_earlier_ones() -> None:
    assert ORDER.refers == {1}
    assert ORDER.unseen == (0, 1, 0)
    assert not FILES.refers and sum(FILES.unseen) == 0


def test_a_name_is_free_and_a_role_is_not() -> None:
    def of(last: str, words: str = "and then") -> Profile:
        first = ("make the folder a", "[mkdir('a')]")
        return profile_of(first, (words, last), classes="GorillaFileSystem")

    assert distance(of("[ls()]"), of("[find()]")) == 0.0
    assert of("[ls()]").tools != of("[find()]").tools
    assert 0 < distance(of("[ls()]"), of("[touch('b')]", "b")) < 0.5
    assert distance(ORDER, FILES) > 0.6


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 19), st.integers(0, 19))
def test_the_distance_is_a_symmetric_share_and_zero_just_for_isomorphic_graphs(
    i: int, j: int
) -> None:
    one, two = seeds()[i], seeds()[j]
    found = distance(one, two)
    assert found == distance(two, one) and 0 <= found <= 1
    assert distance(one, one) == 0
    same = nx.is_isomorphic(
        one.graph,
        two.graph,
        node_match=lambda a, b: a["label"] == b["label"],
        edge_match=lambda a, b: a["kind"] == b["kind"],
    )
    rest = (one.category, len(one.shape), one.refers, one.unseen)
    assert (found == 0) == (same and rest == (two.category, len(two.shape), two.refers, two.unseen))


def test_renumbering_nodes_does_not_hide_isomorphism() -> None:
    rng = random.Random(0)
    for found in seeds():
        names = list(found.graph)
        order = rng.sample(names, len(names))
        shuffled = nx.relabel_nodes(found.graph, dict(zip(names, order, strict=True)))
        assert nx.is_isomorphic(
            found.graph, shuffled, node_match=lambda a, b: a["label"] == b["label"]
        )


def test_each_change_costs_its_part() -> None:
    script = [("make the folder a", "[mkdir('a')]"), ("list", "[ls()]"), ("where", "[pwd()]")]
    whole = profile_of(*script, classes="GorillaFileSystem")
    less = profile_of(*script[:2], classes="GorillaFileSystem")
    # Five of the seven parts (two turns, two calls, the category) and an edge are left.
    assert distance(whole, less) == 1 - 2 * 6 / (8 + 6)
    other = profile_of(*script, classes="GorillaFileSystem", category="long_context")
    assert distance(whole, other) == 1 - 2 * 7 / 16
