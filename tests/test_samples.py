"""Values by schema fit their schema."""

import re
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

from rods.envs.samples import matching, sample


class Leaf(BaseModel):
    name: str
    size: int = Field(default=3, ge=3, le=4)


KINDS = [
    Annotated[int, Field(ge=10, le=12)],
    Annotated[int, Field(multiple_of=5, gt=5)],
    Annotated[float, Field(gt=-2, lt=-1)],
    Annotated[str, Field(min_length=3, max_length=4)],
    Annotated[str, Field(pattern=r"^[A-Z]{3}-\d+$")],
    Annotated[list[Leaf], Field(min_length=3)],
    Literal["a", "b"],
    dict[str, int],
    tuple[int, str],
    Leaf,
    bool,
    int | None,
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_pydantic_accepts_what_is_drawn(kind: Any) -> None:
    adapter = TypeAdapter(kind)
    schema = adapter.json_schema()
    schema = {**schema, "items": TypeAdapter(Leaf).json_schema()} if "$defs" in schema else schema
    for turn in range(12):
        adapter.validate_python(sample(schema, ["attic", "a text", "W1000"], turn))


def test_texts_of_the_state_come_where_they_fit() -> None:
    drawn = [sample({"type": "string"}, ["attic", "hall"], turn) for turn in range(3)]
    assert drawn == ["attic", "hall", "attic"]
    order = {"type": "string", "pattern": "^W[0-9]{4}$"}
    assert "W1000" in [sample(order, ["attic", "W1000"], turn) for turn in range(3)]
    day = {"type": "string", "format": "date"}
    assert sample(day, ["attic"], 1) == "2026-12-31"


PATTERNS = st.recursive(
    st.sampled_from(["a", "[a-f]", r"\d", r"\w", ".", "[^ab]", r"\s", "x{2,3}", "(y|zz)", "q?"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join), inner.map("(?:{})+".format), inner.map("({})*".format)
    ),
    max_leaves=6,
)


@given(PATTERNS, st.integers(0, 20))
def test_a_pattern_matches_what_is_drawn_of_it(pattern: str, turn: int) -> None:
    assert re.search(f"^{pattern}$", matching(f"^{pattern}$", turn))


@pytest.mark.parametrize("pattern", ["[", "(?=a)b", "(?P<x>a)(?P=x)", "a{99999}"])
def test_what_cannot_be_drawn_is_empty(pattern: str) -> None:
    assert matching(pattern) == ""
