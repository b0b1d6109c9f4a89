"""JSON schemas without references, and calls by schemas that are none."""

from __future__ import annotations

from typing import Any

import pytest

from rods.envs.inlined import NODES, Inliner
from rods.envs.mcp.probes import Texts, probes
from rods.task import ToolSpec

TREE = {
    "$defs": {
        "Tree": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Tree"}}},
        "Name": {"type": "string"},
    },
}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"$ref": "#/$defs/Name"}, {"type": "string"}),
        ({"$ref": "#/$defs/Name", "default": "a"}, {"type": "string", "default": "a"}),
        ({"items": [{"$ref": "#/$defs/Name"}, True]}, {"items": [{"type": "string"}, True]}),
        (
            {"$ref": "#/$defs/Tree"},
            {"type": "object", "properties": {"next": {"type": "object"}}},
        ),
        ({"properties": {"$defs": {"type": "null"}}}, {"properties": {"$defs": {"type": "null"}}}),
    ],
)
def test_references_are_replaced(node: Any, expected: Any) -> None:
    assert Inliner(TREE).inlined(node) == expected


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"$ref": "#/$defs/Other"}, "'#/\\$defs/Other' leads nowhere"),
        ({"enum": [0] * NODES}, f"more than {NODES} parts"),
    ],
)
def test_what_cannot_be_inlined_is_refused(node: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Inliner(TREE).inlined(node)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": "a"},
        {"enum": {"a": 1}},
        {"anyOf": "ab"},
        {"type": "string", "minLength": "9"},
    ],
)
def test_a_schema_that_is_none_gives_no_calls(schema: dict[str, Any]) -> None:
    spec = ToolSpec(
        name="look", owner="odd", description="", parameters={"at": schema}, required=("at",)
    )
    assert probes(spec, Texts({}, "")) == []
    sound = spec.model_copy(update={"parameters": {"at": {"type": "integer"}}})
    assert len(probes(sound, Texts({}, ""))) > 1
