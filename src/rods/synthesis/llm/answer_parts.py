"""Finds the answers in a model's text.

The text is read once from beginning to end. Thinking is left out: models and servers separate it
from the answer by many different marks. The content of an object or a block belongs to it, so a
mark, a brace or a tag inside is data.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from rods.files.plain_data import MOST_DEPTH, ReadError, plain
from rods.synthesis.llm.tagged import blocks, fields

STARTS = 20  # objects, and blocks, that may be unreadable
KEY = re.compile(r"\{\s*[\"'](\w{1,60})[\"']")
DEPTH = 20  # lists and objects inside each other
NAMES = (
    *("think", "thinking", "thought", "thoughts", "reasoning", "analysis"),
    *("reflection", "scratchpad", "monologue", "draft", "rationale", "cot", "deepthink"),
)
"""Of blocks that hold thinking, with any prefix such as `seed:` and any end such as `_process`."""

LEFT, RIGHT = r"(?:<[|\uff5c]?|&lt;|\[|◁)\s?", r"(?:[|\uff5c]?>|&gt;|\]|▷)"
MORE = r"(?:_(?!end)\w{1,20})?"
BARE = r"(?-i:\Aanalysis(?=[A-Z{]))"  # a channel whose marks were lost
FINAL = r"<\|channel\|?>\s*final\b|(?-i:assistantfinal)"
CHANNEL = rf"<\|channel\|?>\s*\w*|{BARE}"
ENDED = r"<\|(?:end|return|call|start)\|>|<channel\|>"
TOKEN = re.compile(r"<\|(?:start|constrain)\|>\s*\w+|<\|?[^<>|\s]{1,40}\|>")
"""Special tokens that may be around the text."""

ENDS = {"opening": ("closing", "final"), "channel": ("ended", "channel", "final")}
"""Marks that end the thinking that a mark begins."""


@lru_cache(256)
def pattern(tags: frozenset[str]) -> re.Pattern[str]:
    """Finds the next mark, tag or beginning of an object; `lastgroup` is its kind.

    Args:
        tags: of the answer's form; they are not marks.
    """
    names = "|".join(name for name in NAMES if name not in tags)
    named = rf"(?:\w{{1,20}}[:_])?(?:{names})"
    begins, ends = (rf"(?:{word}[_▁](?:of[_▁])?)" for word in ("(?:begin|start)", "end"))
    groups = {
        "final": FINAL,
        "channel": CHANNEL,
        "ended": ENDED,
        "closing": rf"{LEFT}(?:(?:/\s?|{ends}){named}{MORE}|{named}_end|inner_suffix)\s*{RIGHT}",
        "opening": rf"{LEFT}(?:{begins}?{named}{MORE}|inner_prefix)(?:\s[^<>]{{0,80}})?{RIGHT}",
        "tag": rf"(?-i:<(?:{'|'.join(map(re.escape, sorted(tags))) or '(?!)'})>)",
        "brace": r"\{(?=\s*[\"'}])",
    }
    whole = "|".join(f"(?P<{name}>{text})" for name, text in groups.items())
    return re.compile(whole, re.IGNORECASE)


class AnswerParts:
    """The outermost objects and blocks after the thinking.

    Args:
        model: the answer's form, whose tags are looked for.

    Attributes:
        objects: JSON objects, in their order.
        blocks: of the form's tags, each with its content.
        fault: why there is no clear answer, or "".
    """

    def __init__(self, text: str, model: type[BaseModel] | None = None) -> None:
        self.text = _decoded(text.strip())
        self._known = {field.tag: field for field in fields(model)} if model else {}
        self._names = {field.name for field in self._known.values()} | self._known.keys()
        self._marks = pattern(frozenset(self._known))
        self._doubled: list[str] = []
        self._decoder = json.JSONDecoder(object_pairs_hook=self._once)
        self.fault = self._broken = ""
        self._begin(0)
        at = 0
        while mark := self._marks.search(self.text, at):
            at = self._after(mark)
        if self._broken and not self.fault and (self.objects or self.blocks):  # maybe a draft
            self.fault = f"besides others, an answer that is no {self._broken}"

    @property
    def words(self) -> str:
        """The text after the thinking at the beginning."""
        return self.text[self._start :].strip()

    @property
    def tagged(self) -> str:
        """The blocks as one text."""
        return "\n".join(f"<{tag}>{inside}</{tag}>" for tag, inside in self.blocks)

    def _begin(self, start: int) -> None:
        """Forget everything before, which was a draft."""
        self._start, self._spoke, self.fault = start, False, ""
        self._broken = ""  # the kind of an answer that cannot be read
        self._objects_left = self._blocks_left = STARTS
        self.objects: list[dict[str, Any]] = []
        self.blocks: list[tuple[str, str]] = []
        self._values: dict[str, str] = {}

    def _after(self, mark: re.Match[str]) -> int:
        """Read what begins at a mark; returns the position after it."""
        kind = mark.lastgroup
        if kind == "brace":
            return self._object(mark.start()) if self._objects_left else mark.end()
        if kind == "tag":
            return self._block(mark) if self._blocks_left else mark.end()
        if kind in ("final", "closing"):  # thinking without its beginning
            self._begin(mark.end())
        elif kind in ENDS:
            return self._thinking(mark, ENDS[kind])
        return mark.end()

    def _thinking(self, mark: re.Match[str], ends: tuple[str, ...]) -> int:
        over = (m for m in self._marks.finditer(self.text, mark.end()) if m.lastgroup in ends)
        after = next(over, None)
        if after is None:
            end = len(self.text)
        else:
            end = after.end() if after.lastgroup in ("closing", "ended") else after.start()
        if not self._spoke:
            before = TOKEN.sub("", self.text[self._start : mark.start()])
            self._spoke = bool(before.strip())
        if not self._spoke:
            self._start = end
        return end

    def _object(self, at: int) -> int:
        self._doubled.clear()
        try:
            data, end = self._decoder.raw_decode(self.text, at)
        except (ValueError, RecursionError):
            self._objects_left -= 1
            key = KEY.match(self.text, at)
            if key and key[1] in self._names:
                self._broken = "JSON"
            return self._unread(at, self._objects_left)
        if self._doubled:
            self.fault = f"the key {self._doubled[0][:60]!r} appears twice in one object"
        elif _usable(data):
            self.objects.append(data)
        return end

    def _once(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """An object; keys that appear twice are stored."""
        made: dict[str, Any] = {}
        for name, value in pairs:
            if name in made:
                self._doubled.append(name)
            made[name] = value
        return made

    def _block(self, mark: re.Match[str]) -> int:
        found = next(blocks(self.text, self._known, mark.start()), None)
        if found is None or self._from_a_draft(*found[:2]):
            self._blocks_left -= 1
            if found is None:
                self._broken = "whole block"
            return self._unread(mark.end() - 1, self._blocks_left)
        tag, inside, end = found[0], found[1].strip(), found[2]
        if not self._known[tag].listed and self._values.setdefault(tag, inside) != inside:
            self.fault = "two different answers"
        self.blocks.append((tag, inside))
        return end

    def _from_a_draft(self, tag: str, inside: str) -> bool:
        """Whether a block begins in a draft and ends in the answer; no value has such a mark."""
        if self._known[tag].model is None and f"<{tag}>" in inside:
            return True
        ends = [m[0] for m in self._marks.finditer(inside) if m.lastgroup in ENDS["opening"]]
        return any(end.startswith("<") for end in ends)

    def _unread(self, at: int, left: int) -> int:
        if not left:
            self.fault = self.fault or "too many beginnings of objects or blocks"
        return at + 1


def _decoded(text: str) -> str:
    """The content if the whole text is a JSON string, as from servers that encode twice."""
    try:
        said = json.loads(text) if text.startswith('"') else text
    except ValueError:
        return text
    return said if isinstance(said, str) else text


def _usable(data: Any) -> bool:
    """Whether a user could have written it, see `plain_data`, and it is not too deep."""
    try:
        plain(data, depth=MOST_DEPTH + 1 - DEPTH)
    except ReadError:
        return False
    return True
