"""The answer of each role of the model, and how it is read from the model's text.

Answers are not trusted before a program has checked them. A field's alias is its tag in the tagged
form; for the prompts that the paper prints it is the paper's. The docstrings of the answers are a
part of the schema that the model sees.

Departure from the paper: no answer has a free reason, which a small model writes until its answer
is cut off. A verdict is one of a few sentences; only what the judge finds is text, and it is cut.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from rods.endpoint.fault import Cause, Fault, shortened
from rods.synthesis.llm.answer_parts import TOKEN, AnswerParts
from rods.synthesis.llm.tagged import fields, parse_tags

M = TypeVar("M", bound=BaseModel)

MAX_ISSUE = 300  # characters of what the judge finds
Verdict = Literal[
    "yes",
    "a call is not asked for",
    "more is asked for than the calls do",
    "another value is meant",
    "it is unclear what is meant",
]
UNCLEAR = "it is unclear what is meant"


def _verdict(said: Any) -> Any:
    """A plain no is the least exact complaint."""
    return UNCLEAR if said == "no" else said


def _issue(said: Any) -> Any:
    return shortened(said, MAX_ISSUE) if isinstance(said, str) else said


class Answer(BaseModel):
    """Unknown fields are dropped: models like to add some."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class Planned(Answer):
    """A story, and for each turn "Class: function, function"."""

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

    patches: list[Patch] = Field(alias="patch", max_length=8)


class Query(Answer):
    """A user's words for one turn."""

    query: str


class Judgement(Answer):
    """Whether a user's words ask for just the given calls."""

    verdict: Annotated[Verdict, BeforeValidator(_verdict)]


class Rewritten(Answer):
    """A user's words for all turns."""

    queries: list[str] = Field(alias="query", min_length=1, max_length=8)


class Judged(Answer):
    """The quality judge's decision, and what it finds, in a few words."""

    decision: Literal["accept", "reject"]
    fail_reason: Annotated[str, BeforeValidator(_issue)] = ""


class Classified(Answer):
    """Whether other words would mend what the judge found, and in which turn, from 1 on."""

    kind: Literal["query_fixable", "gt_unfixable"]
    turn: int = 0


class Refined(Answer):
    """Better words for one turn."""

    answer: str


def read(text: str, model: type[M]) -> M:
    """The answer in a text, as JSON or in tags, that fits the form.

    Raises:
        Fault: EMPTY, UNREADABLE (also if there are two different answers) or INVALID.
    """
    found = AnswerParts(text, model)
    if not TOKEN.sub("", found.words).strip():
        raise Fault(Cause.EMPTY, "nothing but thinking")
    if found.fault:
        raise Fault(Cause.UNREADABLE, found.fault)
    tagged = parse_tags(found.tagged, model)
    answers: list[M | dict[str, Any]] = []
    wrong = ""
    for data in [*found.objects, *([tagged] if tagged else [])]:
        try:
            answer: M | dict[str, Any] = model.model_validate(data, by_alias=True, by_name=True)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            wrong = wrong or f"{where}: {first['msg']}".removeprefix(": ")
            answer = data
        if answer not in answers and (isinstance(answer, model) or _meant(data, model)):
            answers.append(answer)
        if len(answers) > 1:
            raise Fault(Cause.UNREADABLE, "two different answers")
    for answer in answers:
        if isinstance(answer, model):
            return answer
    raise Fault(Cause.INVALID, wrong) if wrong else Fault(Cause.UNREADABLE, found.words)


def _meant(data: dict[str, Any], model: type[BaseModel]) -> bool:
    """Whether an object that does not fit the form has some of its fields."""
    return any(field.name in data or field.tag in data for field in fields(model))


@lru_cache(256)
def response_format(model: type[BaseModel]) -> dict[str, Any]:
    """The field `response_format` that asks for this model.

    It is strict unless some part of the model is free, which strict schemas cannot express.
    """
    schema = model.model_json_schema()
    strict = _closed(schema)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", model.__name__)[:60]
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": strict, "schema": schema},
    }


def _closed(schema: Any) -> bool:
    """Close all objects of a schema in place; returns whether no part of it is free."""
    if not isinstance(schema, dict):
        return True
    schema.pop("default", None)  # every field must be filled in
    closed = bool({"type", "$ref", "anyOf", "allOf", "oneOf", "enum", "const"} & schema.keys())
    properties = schema.get("properties", {})
    if schema.get("type") == "object":
        closed = bool(properties) and not schema.get("additionalProperties")
        if closed:
            schema["additionalProperties"] = False
            schema["required"] = list(properties)
    parts = [*properties.values(), *schema.get("$defs", {}).values()]
    parts += [part for kind in ("anyOf", "allOf", "oneOf") for part in schema.get(kind, [])]
    if schema.get("type") == "array":
        parts += [*schema.get("prefixItems", []), schema.get("items", {})]
    return all([closed, *map(_closed, parts)])
