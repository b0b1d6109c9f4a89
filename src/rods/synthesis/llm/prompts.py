"""Prompts from template files, and questions to a model in one of its roles.

A template is `<name>.j2`. Its first line is `{# version: 1 #}`, and it has two blocks, `system` and
`user`. Values come from tools, tasks and other answers, so they are not trusted: tags in them are
written with other brackets. `quoted` also cuts them. A template that inserts its own tags by an
expression marks them `| safe`.
"""

from __future__ import annotations

import json
import random
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup
from pydantic import BaseModel

from rods.endpoint.fault import Cause
from rods.errors import UserError
from rods.synthesis.failures import Kind, ModelError, SynthesisError
from rods.task import Call, ToolSpec

M = TypeVar("M", bound=BaseModel)

FOLDER = Path(__file__).parent / "prompts"
QUOTED = 2_000  # characters of a quoted value
MAX_DOC = 240
MAX_SHOWN = 600  # characters of one response in a prompt
UNREADABLE = {Cause.UNREADABLE, Cause.INVALID, Cause.EMPTY}
LEFT, RIGHT = "\u2039", "\u203a"  # single angle quotation marks

TAG = re.compile(r"<([/!?|]?\w[^<>]{0,80})>")
OPENING = re.compile(r"<(?=[/!?|\w]|\Z)")
VERSION = re.compile(r"\{#-?\s*version:\s*([\w.-]{1,20})\s*-?#\}")


class Prompt(NamedTuple):
    """A prompt, with its role and its version."""

    role: str
    version: str
    system: str
    user: str


def render(name: str, folder: Path = FOLDER, /, **values: Any) -> Prompt:
    """The prompt of a template, filled in. Its role is the template's name.

    Raises:
        UserError: the template is missing or wrong, or a value of it is not given.
    """
    path = folder / f"{name}.j2"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", name):
        raise UserError(f"{path}: write a template's name in small letters")
    try:
        template = _environment(folder).get_template(path.name)
        version = VERSION.match(path.read_text("utf-8"))
        if version is None:
            raise UserError(f"{path}: line 1: write {{# version: 1 #}} there")
        parts = []
        for part in ("system", "user"):
            if part not in template.blocks:
                raise UserError(f"{path}: it has no block {part!r}; add {{% block {part} %}}")
            context = template.new_context(values)
            parts.append("".join(template.blocks[part](context)).strip())
    except TemplateError as error:
        number = getattr(error, "lineno", None)
        line = f"line {number}: " if number else ""
        raise UserError(f"{path}: {line}{error.message or 'no such template'}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    return Prompt(name, version[1], *parts)


def quoted(value: object, size: int = QUOTED) -> Markup:
    """A value as text of at most `size` characters without tags."""
    text = str(value)
    if len(text) > size:
        text = text[: size - 1] + "…"
    return Markup(_harmless(text))


def _harmless(text: str) -> str:
    return OPENING.sub(LEFT, TAG.sub(rf"{LEFT}\1{RIGHT}", text))


def _put(value: Any) -> Any:
    """Called for every value that is inserted into a prompt."""
    return value if isinstance(value, Markup) else _harmless(str(value))


@cache
def _environment(folder: Path) -> ImmutableSandboxedEnvironment:
    found = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,
        finalize=_put,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    found.filters["quoted"] = quoted
    return found


class Model(Protocol):
    """Answers prompts."""

    def ask(self, prompt: Prompt, answer: type[M], key: str = "") -> M:
        """An answer of the given form.

        Args:
            key: distinguishes jobs, so that a recorded run can be repeated in any order.

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
        unreadable: the failure of an answer that does not have the form.

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
    """One line for each tool: class, name, parameters, what it does."""
    return [
        f"{tool.owner}: {tool.name}({', '.join(tool.parameters)}) - {_short(tool.description)}"
        for tool in tools.values()
    ]


def call_line(call: Call) -> str:
    """A call as one line of JSON."""
    return json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)


def clipped(text: str, limit: int = MAX_SHOWN) -> str:
    """A response or state, cut to fit a prompt."""
    return text if len(text) <= limit else text[:limit] + " ..."


def _short(description: str) -> str:
    return clipped(" ".join(description.split()), MAX_DOC)
