"""The notations of calls: of Qwen, Llama and Mistral, and of EnvTuning."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rods.envs.calls import CallError, Refusal, shown
from rods.envs.literals import after_blanks, read_json, read_json_at
from rods.envs.notation import END_MARK, MARK
from rods.renderers.notation import (
    END,
    Notation,
    Tools,
    as_json,
    call_of,
    call_text,
    skip,
    split_thought,
)
from rods.task import Call

OBJECT = '{"name": TOOL, "arguments": {PARAMETER: VALUE}}'
OR_WORDS = "If no call is needed, answer in words."
NO_CALL = "no call"  # begins messages about JSON that cannot be read

TEXT = {"type": "string"}
PYTHON_WORDS = {"True": True, "False": False, "None": None}


class Blocks(Notation):
    """Qwen's up to version 3, and Hermes': words, then an object in each `<tool_call>` block."""

    form = f"Write each call as {MARK}{OBJECT}{END_MARK}. {OR_WORDS}"

    def _write(self, calls: Sequence[Call]) -> str:
        return "\n".join(f"{MARK}\n{call_text(call)}\n{END_MARK}" for call in calls)

    def _read(self, text: str, tools: Tools) -> list[Call]:
        at, calls = self.first(text, MARK, tools), []
        while at < len(text):
            value, at = read_json_at(text, skip(text, at, MARK), NO_CALL)
            at = skip(text, at, END_MARK)
            calls.append(call_of(value))
        return calls


class Tagged(Notation):
    """Qwen's since version 3.5, and Nemotron's: parameters are text between tags.

    Only the tool's schema says whether a text is a string. What is neither that nor JSON stays
    text, which the environment judges.
    """

    form = (
        f"Write each call as {MARK}<function=TOOL><parameter=PARAMETER>\\nVALUE\\n</parameter>"
        f"</function>{END_MARK}. {OR_WORDS}"
    )
    _name = re.compile(r"[^<>\n]+")

    def _write(self, calls: Sequence[Call]) -> str:
        return "\n".join(map(self._block, calls))

    def _read(self, text: str, tools: Tools) -> list[Call]:
        at, calls = self.first(text, MARK, tools), []
        while at < len(text):
            name, at = self._open(text, skip(text, at, MARK), "<function=")
            at, tool = after_blanks(text, at), tools.get(name)
            arguments: dict[str, Any] = {}
            while text.startswith("<parameter=", at):
                key, start = self._open(text, at, "<parameter=")
                if key in arguments:
                    raise CallError(Refusal.REPEATED_ARGUMENT, f"{shown(key)} appears twice")
                end = text.find("</parameter>", start)
                at = skip(text, end, "</parameter>")
                value = text[start:end].removeprefix("\n").removesuffix("\n")
                schema = tool.parameters.get(key, TEXT) if tool else TEXT
                arguments[key] = self._value(value, schema)
            at = skip(text, skip(text, at, "</function>"), END_MARK)
            calls.append(call_of({"name": name, "arguments": arguments}))
        return calls

    def _block(self, call: Call) -> str:
        texts = {
            name: as_json(value) if isinstance(value, list | dict) else str(value)
            for name, value in call.arguments.items()
        }
        inner = "".join(f"<parameter={n}>\n{text}\n</parameter>\n" for n, text in texts.items())
        return f"{MARK}\n<function={call.name}>\n{inner}</function>\n{END_MARK}"

    def _open(self, text: str, at: int, mark: str) -> tuple[str, int]:
        """The name in a tag, and the position after the tag."""
        found = self._name.match(text, skip(text, at, mark))
        if found is None or not text.startswith(">", found.end()):
            raise CallError(Refusal.NOT_CALLS, f"a name is missing at character {at}")
        return found[0].strip(), found.end() + 1

    def _value(self, text: str, schema: Mapping[str, Any]) -> Any:
        if "string" in (each.get("type") for each in (schema, *schema.get("anyOf", ()))):
            return text
        if text in PYTHON_WORDS:
            return PYTHON_WORDS[text]
        try:
            return read_json(text, NO_CALL)
        except CallError:
            return text


class Bare(Notation):
    """Llama's: nothing but objects, several of them with semicolons between them."""

    form = f'For a call write only {{"name": TOOL, "parameters": {{PARAMETER: VALUE}}}}. {OR_WORDS}'
    marks = ("<|python_tag|>",)
    most = 1
    _between = re.compile(r"(?:\s|;|<\|python_tag\|>)*+")

    def _write(self, calls: Sequence[Call]) -> str:
        return "; ".join(call_text(call, "parameters") for call in calls)

    def _read(self, text: str, tools: Tools) -> list[Call]:
        at, calls = self._after(text, 0), list[Call]()
        while at < len(text) and (calls or text.startswith("{", at)):
            value, at = read_json_at(text, at, NO_CALL)
            calls.append(call_of(value))
            at = self._after(text, at)
        return calls

    def _after(self, text: str, at: int) -> int:
        found = self._between.match(text, at)
        return found.end() if found else at


class Named(Notation):
    """Mistral's since its tokenizer 13: words, then the name and the arguments of each call."""

    form = f"Write each call as [TOOL_CALLS]TOOL[ARGS]{{PARAMETER: VALUE}}. {OR_WORDS}"
    marks = ("[TOOL_CALLS]", "[ARGS]")
    trace = re.compile(
        rf"{Notation.trace.pattern}|\[(?:tool|arg|ar\W)|(?:calls|args)\]|\}}\s*\Z", re.I
    )
    _start = re.compile(r"\[TOOL_CALLS\]\s*([^\s\[\]{}]+)\s*\[ARGS\]")

    def _write(self, calls: Sequence[Call]) -> str:
        return "".join(f"[TOOL_CALLS]{c.name}[ARGS]{as_json(c.arguments)}" for c in calls)

    def _read(self, text: str, tools: Tools) -> list[Call]:
        at, calls = self.first(text, "[TOOL_CALLS]", tools), []
        while at < len(text):
            found = self._start.match(text, at)
            if found is None:
                raise CallError(Refusal.NOT_CALLS, f"a name is missing at character {at}")
            value, at = read_json_at(text, found.end(), NO_CALL)
            calls.append(call_of({"name": found[1], "arguments": value}))
        return calls


class Thoughtful(Notation):
    """EnvTuning's (arXiv 2510.10197): a thought, then one block of calls or one answer."""

    form = (
        f"Write <think>...</think> and then either {MARK}[{OBJECT}, ...]{END_MARK} or, if no call"
        " is needed, <answer>...</answer>, and nothing else."
    )
    _tag = re.compile(r"</?(?:think|tool_call|answer)>")

    def write(self, calls: Sequence[Call], before: str = "") -> str:
        return f"<think>...</think>\n{self._write(calls) if calls else f'<answer>{END}</answer>'}"

    def read(self, text: str, tools: Tools) -> list[Call]:
        return self._read(text, tools)

    def _write(self, calls: Sequence[Call]) -> str:
        return f"{MARK}\n[{', '.join(map(call_text, calls))}]\n{END_MARK}"

    def _read(self, text: str, tools: Tools) -> list[Call]:
        thought, rest = split_thought(text)
        if thought is None or self._tag.search(thought):
            raise CallError(Refusal.NOT_CALLS, "it does not begin with one thought")
        rest = rest.strip()
        if rest.startswith(MARK):
            value, at = read_json_at(rest, len(MARK), NO_CALL)
            if skip(rest, at, END_MARK) < len(rest):
                raise CallError(Refusal.NOT_CALLS, "there is text after the calls")
            if calls := [call_of(each) for each in (value if isinstance(value, list) else [value])]:
                return calls
        said = rest.removeprefix("<answer>").removesuffix("</answer>")
        if f"<answer>{said}</answer>" == rest and not self._tag.search(said):
            return []
        raise CallError(Refusal.NOT_CALLS, "neither calls nor an answer")


NATIVE_NOTATIONS: tuple[Notation, ...] = (Blocks(), Tagged(), Bare(), Named())
