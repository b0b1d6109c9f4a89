"""High-level functions are the seeds' own chains."""

from __future__ import annotations

from functools import cache

from rods.synthesis.llm.planner import MAX_CALLS, composites
from rods.synthesis.toolgraph import Fragment, ToolGraph
from test_collector import world


@cache
def graph() -> ToolGraph:
    return world().pipeline().program.graph


def test_the_benchmark_has_the_papers_examples() -> None:
    found = composites(graph())
    chains = {composite.fragment.tools for composite in found.values()}
    city = "get_zipcode_based_on_city"
    assert (city, city, "estimate_distance", "estimate_drive_feasibility_by_mileage") in chains
    assert ("get_nearest_airport_by_city", "get_flight_cost") in chains
    assert all(1 < len(chain) <= MAX_CALLS for chain in chains)
    assert not found.keys() & world().tools.keys()


def test_a_chain_becomes_linked_steps() -> None:
    city = "get_zipcode_based_on_city"
    found = composites(graph())
    chain = next(c for c in found.values() if c.fragment.tools == (city, city, "estimate_distance"))
    first, second, last = chain.steps(3)
    assert first.sources == second.sources == {}
    assert {at for origins in last.sources.values() for at, _ in origins} == {3, 4}
    assert "distance" in chain.describe(world().tools)


def test_unlinked_calls_are_no_chain() -> None:
    graph = ToolGraph(world().tools)
    graph.fragments[("x",)][Fragment(("ls", "pwd"))] += 1
    assert composites(graph) == {}
