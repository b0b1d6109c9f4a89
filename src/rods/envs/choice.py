"""Which methods of a class are tools: all public ones, or those that are chosen.

A choice is a list of words. A word is a method, a pattern of names (`get_*`), or a base class,
which stands for the methods that it defines; with `-` before it these are left out. Without a word
that takes some in, all public methods are chosen at first.

A choice is made on the command line (`package.module:Class[find_*,-find_all]`), or else in the head
of a task file (`tools`), or else in the class (`rods_tools`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from rods.errors import UserError

OWN = "rods_tools"  # attribute of a class with its choice
STATE = ("get_state", "set_state")  # methods that are no tools
PART = re.compile(r"([^,\[\]]+)(?:\[([^\[\]]*)\])?(?:,|\Z)")
MCP = "mcp:"  # before the path of a file of MCP servers
FILE = re.compile(r"(mcp:.*?)(?:\[([^\[\]]*)\])?", re.DOTALL)
FORM = "write it as package.module:Class or package.module:Class[tool,tool]"


class Named(NamedTuple):
    """A class or a file as a specification names it, and its choice; None: it names none."""

    name: str
    words: tuple[str, ...] | None

    def __str__(self) -> str:
        return self.name if self.words is None else f"{self.name}[{','.join(self.words)}]"


class Chosen(NamedTuple):
    """The tools of a class.

    Attributes:
        names: of the methods, in the order of definition.
        asked: those that a word names as they are.
        left_out: the other public methods.
        unknown: words that match nothing.
    """

    names: tuple[str, ...]
    asked: frozenset[str]
    left_out: tuple[str, ...]
    unknown: tuple[str, ...]


def read_spec(spec: str) -> list[Named]:
    """The classes of a specification, or its file of MCP servers.

    Raises:
        UserError: the brackets of a choice are not closed, or something stands behind them.
    """
    if spec.startswith(MCP) and (file := FILE.fullmatch(spec)):
        return [Named(file[1], _words_of(file[2]))]
    found, at = [], 0
    while part := PART.match(spec, at):
        found.append(Named(part[1].strip(), _words_of(part[2])))
        at = part.end()
    if at < len(spec) or not found:
        raise UserError(f"environment {spec!r}: {FORM}")
    return found


def chosen_by(spec: str, head: Any) -> str:
    """The specification with the choice that the first entry of a task file makes.

    Args:
        head: a header with `tools`, or a task that was made with some choice.
    """
    if "[" in spec or not isinstance(head, dict):
        return spec
    if isinstance(words := head.get("tools"), list) and "turns" not in head:
        made = tuple(_words(word for word in words if isinstance(word, str)))
        return ",".join(str(named._replace(words=made)) for named in read_spec(spec))
    named = head.get("environment")
    return named if isinstance(named, str) and "[" in named and bare(named) == bare(spec) else spec


def choose(owner: type, words: Sequence[str] | None) -> Chosen:
    """The tools of a class.

    Args:
        words: the choice; None: that of the class itself, if it has one.

    Raises:
        UserError: the choice of the class is no list of words.
    """
    public = public_methods(owner)
    words = _own(owner) if words is None else words
    return choose_of(public, words, lambda name: _matched(owner, name, public))


def choose_of(
    public: Sequence[str], words: Sequence[str], match: Callable[[str], set[str]]
) -> Chosen:
    """The tools among some names.

    Args:
        match: the names that a word without `-` stands for.
    """
    taken, asked, unknown = set[str](), set[str](), list[str]()
    if all(word.startswith("-") for word in words):
        taken.update(public)
    for word in words:
        out, name = word.startswith("-"), word.removeprefix("-")
        matched = match(name)
        if not matched:
            unknown.append(word)
        if out:
            taken -= matched
            asked -= matched
        else:
            taken |= matched
            asked |= matched & {name}
    names = tuple(name for name in public if name in taken)
    rest = tuple(name for name in public if name not in taken)
    return Chosen(names, frozenset(asked), rest, tuple(unknown))


def public_methods(owner: type) -> list[str]:
    """Names of public methods, in the order of definition, those of base classes first."""
    names = [n for base in reversed(owner.__mro__[:-1]) for n in vars(base)]
    public = [n for n in dict.fromkeys(names) if n[0] != "_" and n not in STATE]
    return [n for n in public if inspect.isroutine(getattr(owner, n))]


def bare(spec: str) -> str:
    """The specification without choices."""
    return ",".join(named.name for named in read_spec(spec))


def _own(owner: type) -> tuple[str, ...]:
    words = getattr(owner, OWN, ())
    fits = isinstance(words, list | tuple) and all(isinstance(word, str) for word in words)
    if not fits:
        raise UserError(f"{owner.__name__}.{OWN}: must be a list of names")
    return tuple(_words(words))


def _words_of(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(_words(text.split(",")))


def _words(words: Iterable[str]) -> list[str]:
    return [word for word in (w.replace(" ", "") for w in words) if word]


def _matched(owner: type, name: str, public: Sequence[str]) -> set[str]:
    if name in public:
        return {name}
    for base in owner.__mro__[:-1]:
        if base.__name__ == name:
            return {n for n in vars(base) if n in public}
    return {n for n in public if fnmatchcase(n, name)}
