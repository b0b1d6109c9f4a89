"""What each role of the model answers. Nothing in here is trusted before a program has checked it.

A field's alias is its tag in the tagged form, which is the paper's where its prompts are printed.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Answer(BaseModel):
    """Unknown fields are dropped: models like to add some."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class Planned(Answer):
    """A story, and for each turn "Class: function, function"."""

    reason: str = ""
    narrative: str
    turns: list[str] = Field(alias="turn", min_length=1, max_length=8)


class Arguments(Answer):
    """The arguments of one call."""

    arguments: dict[str, JsonValue]


class Patch(Answer):
    """One change of the start state; `field` is a path with dots."""

    owner: str = Field(alias="class")
    field: str
    value: JsonValue


class Patches(Answer):
    """Changes after which what failed should succeed."""

    reason: str = ""
    patches: list[Patch] = Field(alias="patch", max_length=8)


class Query(Answer):
    """A user's words for one turn."""

    query: str


class Verdict(Answer):
    """Whether a user's words ask for just the given calls."""

    reason: str = ""
    verdict: Literal["yes", "no"]


class Rewritten(Answer):
    """A user's words for all turns."""

    queries: list[str] = Field(alias="query", min_length=1, max_length=8)


class Omitted(Answer):
    """Words without a value, and the words that supply it a turn later."""

    query: str
    answer: str


class Judged(Answer):
    """The quality judge's decision."""

    reason: str = ""
    decision: Literal["accept", "reject"]
    fail_reason: str = ""


class Classified(Answer):
    """Whether other words would mend what the judge found, and in which turn, from 1 on."""

    reason: str = ""
    kind: Literal["query_fixable", "gt_unfixable"]
    turn: int = 0


class Refined(Answer):
    """Better words for one turn."""

    answer: str
