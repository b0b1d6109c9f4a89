"""Config patches: what may be merged, what may not, and that nothing else is touched."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rods.synthesis.llm.forms import Patch
from rods.synthesis.llm.patches import merge, tree_fault

TREE = {
    "root": {
        "type": "directory",
        "contents": {"notes.txt": {"type": "file", "content": "one two"}},
    }
}
START: dict[str, Any] = {
    "TradingBot": {"balance": 10.0, "orders": {"1": {"price": 2.0, "status": "Pending"}}},
    "GorillaFileSystem": {"root": TREE},
}
KNOWN = {"TradingBot": {"balance": 10.0, "market_status": "Closed", "orders": {}}}
FILE = {"type": "file", "content": ""}


def patched(owner: str, field: str, value: Any) -> tuple[dict[str, Any], list[str]]:
    return merge(START, [Patch(owner=owner, field=field, value=value)], KNOWN)


@pytest.mark.parametrize(
    ("owner", "field", "value", "at"),
    [
        ("TradingBot", "balance", 99, ["TradingBot", "balance"]),
        ("TradingBot", "market_status", "Open", ["TradingBot", "market_status"]),
        ("TradingBot", "orders.1.status", "Open", ["TradingBot", "orders", "1", "status"]),
        (
            "TradingBot",
            "orders.7",
            {"price": 5.0, "status": "Pending"},
            ["TradingBot", "orders", "7"],
        ),
        (
            "GorillaFileSystem",
            r"root.root.contents.a\.txt",
            FILE,
            ["GorillaFileSystem", "root", "root", "contents", "a.txt"],
        ),
    ],
)
def test_sound_patches_are_merged(owner: str, field: str, value: Any, at: list[str]) -> None:
    merged, refused = patched(owner, field, value)
    node: Any = merged
    for key in at:
        node = node[key]
    assert (node, refused) == (value, [])


@pytest.mark.parametrize(
    ("owner", "field", "value", "why"),
    [
        ("Nobody", "balance", 1, "no such class"),
        ("TradingBot", "invented", 1, "no such field"),
        ("TradingBot", "balance", "much", "number cannot become text"),
        ("TradingBot", "balance", True, "number cannot become truth value"),
        ("TradingBot", "orders", 5, "mapping cannot become number"),
        ("TradingBot", "orders.1.status.deep", 5, "no such path"),
        ("TradingBot", "orders..status", 5, "no such path"),
        ("TradingBot", "orders.2", "x", "an entry of another type"),
        ("TradingBot", "orders.1", {"status": "x" * 70_000}, "too large"),
        ("GorillaFileSystem", "root.root.contents.a", {"type": "file"}, "no file and no folder"),
        ("GorillaFileSystem", "root.root.contents.a/b", FILE, "no file name"),
        ("GorillaFileSystem", r"root.root.contents.\.\.", FILE, "no file name"),
        ("GorillaFileSystem", "root.root.type", "file", "no file and no folder"),
        (".".join("x" * 20), "__class__.__init__", 1, "no such class"),
        ("TradingBot", "__class__.__init__", 1, "no such field"),
    ],
)
def test_others_are_refused_with_the_reason(owner: str, field: str, value: Any, why: str) -> None:
    merged, (told,) = patched(owner, field, value)
    assert why in told
    assert merged == START


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
FIELDS = st.sampled_from(["balance", "orders", "orders.1", "orders.1.price", "orders.9", "x", ""])


@given(field=FIELDS, value=JSON)
def test_types_never_change_and_the_start_is_left_alone(field: str, value: Any) -> None:
    before = copy.deepcopy(START)
    merged, refused = patched("TradingBot", field, value)
    assert before == START
    assert not (refused and merged != START)
    assert isinstance(merged["TradingBot"]["balance"], int | float)
    assert all(isinstance(order, dict) for order in merged["TradingBot"]["orders"].values())
    assert tree_fault(merged["GorillaFileSystem"]["root"]) == ""


def test_patches_accumulate_and_one_bad_one_harms_no_other() -> None:
    wanted = [
        Patch(owner="TradingBot", field="balance", value=1),
        Patch(owner="TradingBot", field="balance", value="x"),
        Patch(owner="TradingBot", field="orders.1.price", value=9),
    ]
    merged, refused = merge(START, wanted, KNOWN)
    assert len(refused) == 1
    assert merged["TradingBot"]["balance"] == 1
    assert merged["TradingBot"]["orders"]["1"] == {"price": 9, "status": "Pending"}
