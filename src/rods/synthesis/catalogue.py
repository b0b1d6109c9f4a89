"""How each tool is spoken of, what its arguments are, and what role it plays (phrases.yaml)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict


class Phrase(BaseModel):
    """One tool's entry.

    Attributes:
        role: whether it reads, writes, or opens a session or moves within the state.
        say: wordings with a {slot} for each required parameter.
        also: suffix for each optional parameter.
        nouns: what a user calls each parameter.
        slots: kind of value of each parameter.
        choices: closed sets of values.
        ranges: limits of numbers, both ends allowed.
        needs: tools that must have succeeded before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["read", "write", "session"]
    say: tuple[str, ...]
    also: dict[str, str] = {}
    nouns: dict[str, str] = {}
    slots: dict[str, str] = {}
    choices: dict[str, tuple[Any, ...]] = {}
    ranges: dict[str, tuple[float, float]] = {}
    needs: tuple[str, ...] = ()


@cache
def phrases() -> dict[str, Phrase]:
    """All entries by tool name."""
    data = yaml.safe_load((files("rods.synthesis") / "phrases.yaml").read_text("utf-8"))
    data.pop("kinds")
    return {name: Phrase.model_validate(entry) for name, entry in data.items()}


@cache
def roles() -> dict[str, str]:
    """Role of each tool."""
    return {name: phrase.role for name, phrase in phrases().items()}
