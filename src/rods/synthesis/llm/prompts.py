"""Prompts from template files, and questions to a model in one of its roles.

A template is `<name>.j2`. Its first line is `{# version: 1 #}`, and it has two blocks, `system` and
`user`. Values come from tools, tasks and other answers, so they are not trusted: tags in them are
written with other brackets. `quoted` also cuts them. A template that inserts its own tags by an
expression marks them `| safe`.

A block `example` shows one request with its answer, as a line `ANSWER: ` with JSON at its end. All
examples are about an invented toolkit, so none of them can be an answer to a real request; an
answer that has one of its words copies the example (`copied`).
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
from rods.provenance import leaves
from rods.synthesis.failures import Kind, ModelError, SynthesisError

M = TypeVar("M", bound=BaseModel)

FOLDER = Path(__file__).parent / "prompts"
QUOTED = 2_000  # characters of a quoted value
UNREADABLE = frozenset(
    {Cause.UNREADABLE, Cause.INVALID, Cause.EMPTY, Cause.CUT_OFF, Cause.REPEATS, Cause.EXAMPLE}
)
"""Causes that are about the content of an answer; another try may have a better one."""
INVENTED = re.compile(r"glow_?moth|quillo|tamsin", re.IGNORECASE)
"""Words of the examples that no real request has."""
COPIED = 6  # words in a row that are a copy
LEFT, RIGHT = "\u2039", "\u203a"  # single angle quotation marks

TAG = re.compile(r"<([/!?|]?\w[^<>]{0,80})>")
OPENING = re.compile(r"<(?=[/!?|\w]|\Z)")
VERSION = re.compile(r"\{#-?\s*version:\s*([\w.-]{1,20})\s*-?#\}")
ANSWER = re.compile(r"(?:\A|\n)ANSWER: (.*)\Z")


class Example(NamedTuple):
    """A request of another conversation, and its right answer as JSON."""

    request: str
    answer: str


class Prompt(NamedTuple):
    """A prompt, with its role and its version.

    Attributes:
        tries: answers that were refused before; a later try is sampled at a higher temperature.
    """

    role: str
    version: str
    system: str
    user: str
    example: Example | None = None
    tries: int = 0


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
        parts = {}
        for part in ("system", "user", "example"):
            if part in template.blocks:
                context = template.new_context(values)
                parts[part] = "".join(template.blocks[part](context)).strip()
            elif part != "example":
                raise UserError(f"{path}: it has no block {part!r}; add {{% block {part} %}}")
    except TemplateError as error:
        number = getattr(error, "lineno", None)
        line = f"line {number}: " if number else ""
        raise UserError(f"{path}: {line}{error.message or 'no such template'}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    example = _example(path, parts["example"]) if "example" in parts else None
    tries = len(values.get("refused", ()))
    return Prompt(name, version[1], parts["system"], parts["user"], example, tries)


def _example(path: Path, text: str) -> Example:
    answer = ANSWER.search(text)
    if answer is None:
        raise UserError(f"{path}: block 'example': end it with a line ANSWER: and JSON")
    return Example(text[: answer.start()].strip(), answer[1].strip())


def copied(prompt: Prompt, answer: BaseModel) -> bool:
    """Whether an answer has words of the example that the request does not have.

    These are its invented words, or `COPIED` words in a row. Words that the form of the answer
    gives, such as a verdict, are no copy.
    """
    if prompt.example is None:
        return False
    said = _texts(answer.model_dump())
    invented = _invented(said) - _invented(prompt.user)
    given = _rows(prompt.user) | _rows(json.dumps(answer.model_json_schema()))
    rows = _rows(said) & _rows(_texts(json.loads(prompt.example.answer))) - given
    return bool(invented or rows)


def _texts(data: Any) -> str:
    return " ".join(str(leaf) for leaf in leaves(data))


def _invented(text: str) -> set[str]:
    return {word.lower() for word in INVENTED.findall(text)}


def _rows(text: str) -> set[tuple[str, ...]]:
    """All sequences of `COPIED` words."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + COPIED]) for at in range(len(words) - COPIED + 1)}


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
        unreadable: the failure of an answer that cannot be read, see `UNREADABLE`.

    Raises:
        SynthesisError: there is no answer.
    """
    prompt = render(role, **values)
    try:
        return model.ask(prompt, answer, f"{rng.getrandbits(64):016x}")
    except ModelError as error:
        kind = unreadable if error.cause in UNREADABLE else Kind.MODEL
        why = f"{role}: {error.cause}" if kind is Kind.MODEL else str(error.cause)
        raise SynthesisError(kind, f"{role}: {error.cause}", why=why) from None


def versions() -> dict[str, str]:
    """The version of each role's prompt."""
    found = {path.stem: VERSION.match(path.read_text("utf-8")) for path in FOLDER.glob("*.j2")}
    return {name: match[1] for name, match in sorted(found.items()) if match}
