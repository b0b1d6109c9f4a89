"""YAML in the core schema of YAML 1.2: one document, without aliases, merge keys and other tags.

PyYAML follows YAML 1.1, so it only scans and parses the text; scalars are interpreted here.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from rods.errors import shown
from rods.files.plain_data import HALF, MOST_DEPTH, Pairs, Placed, ReadError

TAG = "tag:yaml.org,2002:"
SCALARS = {
    "null": re.compile("~|null|Null|NULL|"),
    "bool": re.compile("true|True|TRUE|false|False|FALSE"),
    "int": re.compile("[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    ),
    "str": re.compile(".*", re.DOTALL),
}
LONE = "! "  # written for the tag "!", which PyYAML treats as no tag
ESCAPE = " is not read; write its escape, within double quotes"
UNCLEAR = re.compile("[\x85\u2028\u2029]|(?<=[\r\n])\ufeff")  # the first 3 end a line in YAML 1.1


class _Loader(yaml.SafeLoader):
    """Composes nodes; `resolve` gives the tag of a scalar that has none."""

    depth = 0

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is not yaml.ScalarNode:
            return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        if not implicit[0]:
            return TAG + "str"
        return TAG + next(name for name, form in SCALARS.items() if form.fullmatch(value))

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):  # a few lines can expand without bound
            raise ReadError("aliases are not read; write the value out", line)
        if self.depth > MOST_DEPTH + 1:
            raise ReadError(f"nested deeper than {MOST_DEPTH}", line)
        if event.tag == "!":
            event.tag = LONE
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def parse(text: str) -> Any:
    """The value of the text, in parts that `plain` reads; None for an empty text.

    Raises:
        ReadError: it is not YAML of this kind; the error has the line.
    """
    if found := UNCLEAR.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ReadError(f"the character U+{ord(found[0]):04X}{ESCAPE}", line)
    try:
        loader = _Loader(text)
        return _document(loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = shown(": ".join(filter(None, [error.context, error.problem])), 160)
        raise ReadError(f"not YAML: {why}", mark.line + 1 if mark else 0) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ReadError(f"not YAML: the character U+{error.character:04X}{ESCAPE}", line) from None
    except (yaml.YAMLError, ValueError, OverflowError):  # the number in an escape can be too large
        raise ReadError("not YAML: a character that does not exist") from None


def _document(loader: Any) -> Any:
    loader.get_event()
    if loader.check_event(yaml.StreamEndEvent):
        return None
    version = loader.peek_event().version
    if version not in (None, (1, 2)):
        raise ReadError(f"YAML {version[0]}.{version[1]} is not read, but 1.2", 1)
    loader.get_event()
    root = loader.compose_node(None, None)
    loader.get_event()
    if not loader.check_event(yaml.StreamEndEvent):
        line = loader.peek_event().start_mark.line + 1
        raise ReadError("a second document; use one file for each", line)
    return _opened(root)


def _opened(node: Any) -> Placed:
    line = node.start_mark.line + 1
    name = node.tag[len(TAG) :] if node.tag.startswith(TAG) else ""
    if isinstance(node, yaml.MappingNode) and name == "map":
        return Placed(line, Pairs((_opened(key), _opened(value)) for key, value in node.value))
    if isinstance(node, yaml.SequenceNode) and name == "seq":
        return Placed(line, [_opened(item) for item in node.value])
    if isinstance(node, yaml.ScalarNode) and name in SCALARS:
        return Placed(line, _scalar(name, node.value))
    return Placed(line, _no(f"the tag {shown(node.tag.replace(TAG, '!!'), 80)} is not read here"))


def _scalar(name: str, text: str) -> Any:
    if not SCALARS[name].fullmatch(text):
        return _no(f"{shown(text, 80)!r} is not a valid {name}, which its tag says")
    if name == "null":
        return None
    if name == "bool":
        return text.lower() == "true"
    if name == "float":
        return float(re.sub(r"\.([inIN])", r"\1", text))
    if name == "int":
        try:
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        except ValueError:
            return ReadError("an integer of too many digits")
    if HALF.search(text):  # UTF-16 escapes, as in JSON: two halves make a character
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


def _no(why: str) -> ReadError:
    return ReadError(f"not YAML of the core schema: {why}")
