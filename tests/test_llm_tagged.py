"""What is written in tags is read back as it was, whatever is in it."""

from enum import Enum
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from rods.synthesis.llm.tagged import DEPTH, ITEMS, form, parse_tags, to_tags


class Mood(Enum):
    LOW = 1
    HIGH = 2


class Call(BaseModel):
    name: str
    arguments: dict[str, Any] = Field(description="by parameter")


class Plan(BaseModel):
    narrative: str = Field(description="in one sentence")
    turns: list[str] = Field(alias="turn")
    count: int
    share: float
    sure: bool
    verdict: Literal["yes", "no", 3]
    mood: Mood
    calls: list[Call] = Field(alias="call")
    first: Call | None
    note: str | None = None
    free: Any = None
    table: list[list[int]]


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(str.strip)
tricky = st.sampled_from(
    [
        "</turn>",
        "<turn>",
        "&lt;",
        "&amp;amp;",
        "<call><name>x</name>",
        "a < b && c",
        "",
        "null",
        "{",
    ]
)
text = words | tricky
json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
calls = st.builds(Call, name=text, arguments=st.dictionaries(text, json, max_size=3))
plans = st.builds(
    Plan,
    narrative=text,
    turn=st.lists(text, max_size=4),
    count=st.integers(-(10**30), 10**30),
    share=st.floats(allow_nan=False, allow_infinity=False),
    sure=st.booleans(),
    verdict=st.sampled_from(["yes", "no", 3]),
    mood=st.sampled_from(Mood),
    call=st.lists(calls, max_size=3),
    first=st.none() | calls,
    note=st.none() | text,
    free=json,
    table=st.lists(st.lists(st.integers(), max_size=3), max_size=3),
)


def read(text: str) -> Plan:
    return Plan.model_validate(parse_tags(text, Plan), by_name=True)


@given(plans)
def test_round_trip(plan: Plan) -> None:
    assert read(to_tags(plan)) == plan


@given(plans, words)
def test_words_around_do_not_count(plan: Plan, said: str) -> None:
    assert read(f"{said}\n```xml\n{to_tags(plan)}\n```\n{said}") == plan


@given(st.text(st.sampled_from("<>/abtn &;{}\n") | st.characters(), max_size=200))
def test_any_text_is_read_without_an_error(said: str) -> None:
    class Small(BaseModel):
        a: str
        b: list[int]
        t: Call

    found = parse_tags(said.replace("a", "<a>").replace("b", "</a>").replace("t", "<t>"), Small)
    assert found is None or set(found) <= {"a", "b", "t"}


def test_the_form_that_is_shown() -> None:
    shown = form(Plan)
    assert "<narrative>...</narrative>  (in one sentence)" in shown
    assert "<turn>...</turn>  (repeat the block for each one)" in shown
    assert "<verdict>yes or no or 3</verdict>" in shown
    assert "<call>  (repeat the block for each one)\n  <name>...</name>" in shown
    assert "  <arguments>JSON</arguments>  (by parameter)\n</call>" in shown


def test_first_block_counts_and_lists_are_bounded() -> None:
    class Few(BaseModel):
        a: str
        b: list[str]

    found = parse_tags("<a>1</a><a>2</a>" + "<b>x</b>" * (ITEMS + 5), Few)
    assert found == {"a": "1", "b": ["x"] * ITEMS}
    assert parse_tags("<a>no end", Few) == {"b": []}
    assert parse_tags("nothing here", Few) is None


class Tree(BaseModel):
    name: str
    node: list["Tree"] = []


def test_the_same_tag_inside_itself() -> None:
    tree = Tree(name="a", node=[Tree(name="b", node=[Tree(name="c")]), Tree(name="d")])
    assert Tree.model_validate(parse_tags(to_tags(tree), Tree)) == tree
    deep = parse_tags("<node>" * 500 + "</node>" * 500, Tree)
    levels = 0
    while deep and deep.get("node"):
        deep, levels = deep["node"][0], levels + 1
    assert levels == DEPTH
    assert "<node>JSON</node>" in form(Tree)
