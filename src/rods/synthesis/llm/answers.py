"""From what a model said to what was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rods.synthesis.llm.fault import Cause, Fault
from rods.synthesis.llm.tagged import opening, parse_tags

M = TypeVar("M", bound=BaseModel)

STARTS = 20  # places at which an object is tried to be read
DEPTH = 20  # lists and objects inside each other


def read(text: str, model: type[M]) -> M:
    """The answer in some words, as JSON or in tags, whichever comes first and fits.

    Raises:
        Fault: EMPTY, UNREADABLE or INVALID.
    """
    text = spoken(text)
    if not text:
        raise Fault(Cause.EMPTY, "nothing but thinking")
    wrong = ""
    for data in _candidates(text, model):
        try:
            return model.model_validate(data, by_alias=True, by_name=True)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            wrong = wrong or f"{where}: {first['msg']}".removeprefix(": ")
    if wrong:
        raise Fault(Cause.INVALID, wrong)
    raise Fault(Cause.UNREADABLE, text)


def spoken(text: str) -> str:
    """The words without the thinking before them.

    Some servers leave out where the thinking begins; its end tells them apart from an answer.
    """
    text = text.strip()
    thought, end, rest = text.partition("</think>")
    if thought.startswith("<think>"):
        return rest.strip()
    if end and "<think>" not in thought and thought[:1] not in ("{", "[", "<", "`"):
        return rest.strip()
    return text


def has_object(text: str) -> bool:
    """Whether there is a JSON object in the words."""
    return next(_objects(spoken(text)), None) is not None


def _candidates(text: str, model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    tag, brace = opening(text, model), text.find("{")
    tagged = parse_tags(text, model) if tag >= 0 else None
    if tagged is not None and (tag < brace or brace < 0):
        yield tagged
    yield from _objects(text)
    if tagged is not None and 0 <= brace < tag:
        yield tagged


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects among the words, outermost ones, as far as few attempts find them."""
    decoder, at = json.JSONDecoder(), text.find("{")
    for _ in range(STARTS):
        if at < 0:
            return
        end = at + 1
        try:
            data, end = decoder.raw_decode(text, at)
            json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
            if _shallow(data):
                yield data
        except (ValueError, RecursionError):  # ValueError: also not finite, or half a character
            pass
        at = text.find("{", end)


def _shallow(value: Any, depth: int = DEPTH) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(_shallow(item, depth - 1) for item in inner)


@lru_cache(256)
def response_format(model: type[BaseModel]) -> dict[str, Any]:
    """The field `response_format` that asks for this model.

    Strict, unless some part of the model is free, which strict schemas cannot say.
    """
    schema = model.model_json_schema()
    strict = _closed(schema)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", model.__name__)[:60]
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": strict, "schema": schema},
    }


def _closed(schema: Any) -> bool:
    """Close all objects of a schema in place; whether there is nothing free in it."""
    if not isinstance(schema, dict):
        return True
    schema.pop("default", None)  # everything is to be filled in
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
