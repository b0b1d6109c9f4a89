"""Asks the model in one of its roles, and turns its failures into those of synthesis."""

from __future__ import annotations

import json
import random
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from rods.synthesis.failures import Kind, SynthesisError
from rods.synthesis.llm.endpoint import Cause, ModelError
from rods.synthesis.llm.prompts import FOLDER, VERSION, Prompt, render
from rods.task import Call, ToolSpec

M = TypeVar("M", bound=BaseModel)
UNREADABLE = {Cause.UNREADABLE, Cause.INVALID, Cause.EMPTY}
MAX_DOC = 240
MAX_SHOWN = 600  # characters of one response in a prompt


class Model(Protocol):
    """Whatever answers prompts."""

    def ask(self, prompt: Prompt, answer: type[M], key: str = "") -> M:
        """An answer of that form.

        Args:
            key: tells jobs apart, so that a recorded run can be repeated in any order.

        Raises:
            ModelError: there is none.
        """


def ask(
    model: Model,
    role: str,
    answer: type[M],
    rng: random.Random,
    unreadable: Kind = Kind.MODEL,
    **values: Any,
) -> M:
    """The answer to the prompt of a role.

    Args:
        unreadable: how an answer without the wanted form is counted.

    Raises:
        SynthesisError: there is no answer.
    """
    prompt = render(role, **values)
    try:
        return model.ask(prompt, answer, f"{rng.getrandbits(64):016x}")
    except ModelError as error:
        kind = unreadable if error.cause in UNREADABLE else Kind.MODEL
        raise SynthesisError(kind, f"{role}: {error.cause.value}") from None


def versions() -> dict[str, str]:
    """The version of each role's prompt."""
    found = {path.stem: VERSION.match(path.read_text("utf-8")) for path in FOLDER.glob("*.j2")}
    return {name: match[1] for name, match in sorted(found.items()) if match}


def tool_lines(tools: dict[str, ToolSpec]) -> list[str]:
    """One line a tool: class, name, parameters, what it does."""
    return [
        f"{tool.owner}: {tool.name}({', '.join(tool.parameters)}) - {_short(tool.description)}"
        for tool in tools.values()
    ]


def call_line(call: Call) -> str:
    """A call as one line of JSON."""
    return json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """A response or state as far as it fits a prompt."""
    return text if len(text) <= limit else text[:limit] + " ..."


def _short(description: str) -> str:
    return shown(" ".join(description.split()), MAX_DOC)
