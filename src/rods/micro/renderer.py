"""The micro policy's renderer: tool and parameter names are single tokens, values are words.

    <tools> GorillaFileSystem <without> fn:cp
    <user> make the directory temp <agent> <call> fn:mkdir arg:dir_name temp <run>
    <seen> ... <agent> <done>

The tools on offer are written as their classes, minus the withheld ones: 128 documents do not fit a
context of some hundred tokens. Observations lose their JSON punctuation. Observations and hints are
cut at separate bounds: with one bound, a long error would leave no room for its hint. Of a system
message the first words are written, like words of the user.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from rods.micro.tokenizer import MicroTokenizer
from rods.rollout.episode import Action
from rods.rollout.messages import Conversation, Message
from rods.task import Call, ToolSpec

CONTROL = (
    *("<tools>", "<without>", "<now>", "<user>", "<agent>", "<call>", "<list>", "<item>"),
    *("<run>", "<done>", "<seen>", "<failed>"),
)
TOKENIZER = "tokenizer.json"
SYSTEM_TOKENS = 32
OBSERVED_TOKENS = 16
OBSERVED_CHARACTERS = 240
HINT_TOKENS = 24
MAX_CALLS = 8
MAX_WORD = 24
JSON_MARKS = re.compile(r'[{}\[\]",:_]+')


def build_tokenizer(words: Iterable[str], tools: Mapping[str, ToolSpec]) -> MicroTokenizer:
    """A vocabulary of words, the control tokens, and one token for each tool and parameter."""
    names = {p for tool in tools.values() for p in tool.parameters}
    owners = {tool.owner for tool in tools.values()}
    symbols = [
        *CONTROL,
        *(f"class:{n}" for n in sorted(owners)),
        *(f"fn:{n}" for n in sorted(tools)),
        *(f"arg:{n}" for n in sorted(names)),
    ]
    return MicroTokenizer.build(words, symbols)


def save_tokenizer(
    folder: Path, words: Iterable[str], tools: Mapping[str, ToolSpec]
) -> dict[str, Any]:
    """Write a tokenizer of words and tools into a folder; returns its size."""
    tokenizer = build_tokenizer(words, tools)
    tokenizer.save(folder / TOKENIZER)
    return {"vocabulary": len(tokenizer)}


def load_renderer(folder: Path) -> MicroRenderer:
    """The renderer with the tokenizer of a folder."""
    return MicroRenderer(MicroTokenizer.load(folder / TOKENIZER))


def words_of(texts: Iterable[str]) -> set[str]:
    """The words that get a token; longer ones are spelled."""
    return {w for text in texts for w in re.findall("[A-Za-z]+", text) if len(w) < MAX_WORD}


class MicroRenderer:
    """Implements `rods.rollout.renderer.Renderer` over a `MicroTokenizer`."""

    def __init__(self, tokenizer: MicroTokenizer) -> None:
        self.tokenizer = tokenizer
        self._id = {name: tokenizer.symbol(name) for name in tokenizer.symbols}
        self._name = {i: name for name, i in self._id.items()}
        self.stop_ids: tuple[int, ...] = (self._id["<run>"], self._id["<done>"])
        self.eos = "<done>"

    def begin(self, conversation: Conversation) -> list[int]:
        owners = dict.fromkeys(t.owner for t in (*conversation.tools, *conversation.withheld))
        ids = [self._id["<tools>"], *(self._id[f"class:{owner}"] for owner in owners)]
        if conversation.withheld:
            ids += [self._id["<without>"], *self._functions(conversation.withheld)]
        return ids + self.extend(conversation.messages)

    def extend(self, messages: Sequence[Message], action: Sequence[int] = ()) -> list[int]:
        ids: list[int] = []
        for message in messages:
            if message.tools:
                ids += [self._id["<now>"], *self._functions(message.tools)]
            if message.role == "tool" or message.error:
                ids += [] if message.repeats else self._answered(message)
            elif message.role == "system":
                ids += [self._id["<user>"], *self.tokenizer.encode(message.content)[:SYSTEM_TOKENS]]
            elif message.role == "user" and message.content:
                ids += [self._id["<user>"], *self.tokenizer.encode(message.content)]
        return [*ids, self._id["<agent>"]]

    def observe(self, text: str) -> list[int]:
        """A tool's response without JSON punctuation, cut to a few tokens."""
        bare = JSON_MARKS.sub(" ", text[:OBSERVED_CHARACTERS]).strip()
        return self.tokenizer.encode(" ".join(bare.split()))[:OBSERVED_TOKENS]

    def write(self, calls: Sequence[Call]) -> list[int]:
        if not calls:
            return [self._id["<done>"]]
        ids: list[int] = []
        for call in calls:
            ids += [self._id["<call>"], self._id[f"fn:{call.name}"]]
            for name, value in call.arguments.items():
                ids += [self._id[f"arg:{name}"], *self._value(value)]
        return [*ids, self._id["<run>"]]

    def parse(self, ids: Sequence[int], tools: Mapping[str, ToolSpec]) -> Action:
        if not ids or ids[-1] not in self.stop_ids:
            return Action(malformed="the action has no end")
        if ids[-1] == self._id["<done>"]:
            return Action() if len(ids) == 1 else Action(malformed="words after the last call")
        call_id, calls = self._id["<call>"], []
        starts = [i for i, token in enumerate(ids) if token == call_id]
        if not starts or starts[0] != 0 or len(starts) > MAX_CALLS:
            return Action(malformed=f"an action is 1 to {MAX_CALLS} calls")
        for start, end in zip(starts, [*starts[1:], len(ids) - 1], strict=True):
            try:
                calls.append(self._parse_call(ids[start + 1 : end], tools))
            except ValueError as error:
                return Action(malformed=str(error))
        return Action(calls=tuple(calls))

    def show(self, ids: Sequence[int]) -> str:
        parts, words = [], []
        for token in [*ids, None]:
            name = self._name.get(token) if token is not None else ""
            if name is None and token is not None:
                words.append(token)
                continue
            if words:
                parts.append(self.tokenizer.decode(words))
                words = []
            if name:
                parts.append(name)
        return " ".join(parts)

    def _functions(self, tools: Iterable[ToolSpec]) -> list[int]:
        return [self._id[f"fn:{tool.name}"] for tool in tools]

    def _answered(self, message: Message) -> list[int]:
        mark = "<failed>" if message.error else "<seen>"
        hint = self.tokenizer.encode(message.hint)[:HINT_TOKENS]
        return [self._id[mark], *self.observe(message.content), *hint]

    def _value(self, value: JsonValue) -> list[int]:
        if isinstance(value, list):
            ids = [self._id["<list>"]]
            for item in value:
                ids += [self._id["<item>"], *self._value(item)]
            return ids
        return self.tokenizer.encode(value if isinstance(value, str) else json.dumps(value))

    def _parse_call(self, ids: Sequence[int], tools: Mapping[str, ToolSpec]) -> Call:
        name = self._name.get(ids[0], "") if ids else ""
        tool = tools.get(name.removeprefix("fn:")) if name.startswith("fn:") else None
        if tool is None:
            raise ValueError("a call names no tool on offer")
        arguments: dict[str, JsonValue] = {}
        at = 1
        while at < len(ids):
            key = self._name.get(ids[at], "").removeprefix("arg:")
            if key not in tool.parameters or key in arguments:
                raise ValueError(f"{tool.name}: no argument here")
            end = at + 1
            while end < len(ids) and not self._name.get(ids[end], "").startswith("arg:"):
                end += 1
            arguments[key] = self._parse_value(ids[at + 1 : end], tool.parameters[key])
            at = end
        return Call.model_construct(name=tool.name, arguments=arguments)

    def _parse_value(self, ids: Sequence[int], schema: dict[str, JsonValue]) -> JsonValue:
        if schema.get("type") == "array":
            if not ids or ids[0] != self._id["<list>"]:
                raise ValueError("a list is wanted")
            items: list[list[int]] = []
            for token in ids[1:]:
                if token == self._id["<item>"]:
                    items.append([])
                elif not items:
                    raise ValueError("a list of items is wanted")
                else:
                    items[-1].append(token)
            inner = schema.get("items")
            return [self._parse_value(i, inner if isinstance(inner, dict) else {}) for i in items]
        if any(token in self._name for token in ids):
            raise ValueError("a value holds a control token")
        text = self.tokenizer.decode(list(ids))
        if schema.get("type") in ("integer", "number", "boolean", "object"):
            if len(text) > 400:
                raise ValueError("a number is too long")
            try:
                value: JsonValue = json.loads(text)
            except (ValueError, RecursionError):
                raise ValueError(f"{text[:20]!r} is no {schema['type']}") from None
            return value
        return text
