"""Where two states differ."""

from __future__ import annotations

from typing import Any

from rods.envs.state import same
from rods.errors import shown


def difference(one: Any, other: Any, place: str = "") -> str:
    """Where two states differ first, and how."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            if key not in one or key not in other:
                return f"{place}{key} {'is new' if key not in one else 'is missing'}"
            if not same(one[key], other[key]):
                return difference(one[key], other[key], f"{place}{key}: ")
    if isinstance(one, list) and isinstance(other, list):
        for index, (mine, theirs) in enumerate(zip(one, other, strict=False)):
            if not same(mine, theirs):
                return difference(mine, theirs, f"{place}{index}: ")
        return f"{place}{len(one)} and {len(other)} entries"
    return f"{place}{shown(str(one), 60)} and {shown(str(other), 60)}"
