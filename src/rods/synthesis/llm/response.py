"""Reads a response: the model's text, or why there is none.

Some servers stream although the request excludes it, so an answer may be a series of events. An
answer that was cut off is checked for text that repeats.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, NamedTuple

from rods.synthesis.llm.fault import Cause, Fault
from rods.synthesis.llm.refusal import Clean, error_in, fault_of

DONE = "[DONE]"  # the last event of a stream
TAIL = 1_200  # characters at the end that are checked for repetition
ROUNDS = 4  # times that the same text must be there
LINES = 8  # times that one line must be among the last ones, of which it must be half
CUT = ("length", "token", "context_window")  # in the reason why an answer ended, in lower case
BROKEN = ("error", "abort", "cancel", "insufficient", "timeout", "time_limit", "load")
DECLINED = (
    *("filter", "safety", "refusal", "sensitive", "prohibited", "recitation", "blocklist"),
    *("spii", "guardrail", "toxic"),
)
ENDED = ("eos_token", "end_token", "stop_token")  # tokens that end an answer as a stop does
HOLDING = (str, list, dict)


class AnswerText(NamedTuple):
    """The model's text and its tokens."""

    text: str
    tokens_in: int
    tokens_out: int


def words_of(content: bytes, clean: Clean) -> AnswerText:
    """The text of a chat completion.

    Args:
        clean: removes the key from a text.

    Raises:
        Fault: it is no completion, is cut off, empty or a refusal, or contains an error.
    """
    body = clean(content.decode("utf-8-sig", "replace"))
    if not body.strip():
        raise Fault(Cause.EMPTY, "the response has no bytes")
    try:
        data = whole_answer(body)
        if error := error_in(data):
            raise fault_of(error, clean)
        choice = data["choices"][0]
        message, finish = choice["message"], str(choice.get("finish_reason") or "").lower()
        said, refusal = message.get("content"), message.get("refusal")
        tokens = _tokens(data.get("usage"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Fault(Cause.NOT_CHAT, body) from None
    text = clean(_text(said))
    if _among(finish, DECLINED) or (refusal and not text):
        reason = refusal if isinstance(refusal, str) else finish
        raise Fault(Cause.REFUSED, reason or "content filter", tokens=tokens)
    if _among(finish, BROKEN):
        raise Fault(Cause.DOWN, f"the server broke off: {text[-100:]}", tokens=tokens)
    if _among(finish, CUT) and finish not in ENDED:
        cause = Cause.REPEATS if repeating(text) else Cause.CUT_OFF
        raise Fault(cause, text[-300:], text=text, tokens=tokens)
    if not text.strip():
        fields = ", ".join(_elsewhere(message))[:100]
        hint = f"; there are some in {clean(fields)}" if fields else ""
        raise Fault(
            Cause.EMPTY, f"the answer has no words{hint}", tokens=tokens, elsewhere=bool(fields)
        )
    return AnswerText(text, *tokens)


def _among(finish: str, words: tuple[str, ...]) -> bool:
    return any(word in finish for word in words)


def _text(said: Any) -> str:
    """The text of a content without parts of another type, such as thinking."""
    if isinstance(said, str):
        return said
    parts = [part for part in (said if isinstance(said, list) else [said]) if part]
    texts = [
        part if isinstance(part, str) else part.get("text")
        for part in parts
        if isinstance(part, str) or (isinstance(part, dict) and _is_text(part))
    ]
    return "".join(text for text in texts if isinstance(text, str))


def _is_text(part: dict[str, Any]) -> bool:
    return part.get("type", "text") in ("text", "output_text") and not part.get("thought")


def _elsewhere(message: dict[str, Any]) -> list[str]:
    """Fields of a message that are not empty although its content has no text."""
    found = [
        name
        for name, value in message.items()
        if name not in ("role", "content", "refusal") and value and isinstance(value, HOLDING)
    ]
    if isinstance(said := message.get("content"), list | dict) and said:
        found.insert(0, "content of another type")
    return found


def _tokens(usage: Any) -> tuple[int, int]:
    read, written = (_number(usage, f"{kind}_tokens") for kind in ("prompt", "completion"))
    return read, written


def _number(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:10])
    return value if type(value) is int and 0 <= value < 10**9 else 0


def whole_answer(body: str) -> Any:
    """The JSON of a body, which is one value or the events of a stream.

    Raises:
        ValueError, RecursionError: it is neither.
        Fault: the stream ends before the answer does.
    """
    body = body.strip()
    try:
        data, end = json.JSONDecoder().raw_decode(body)
    except ValueError:
        return _joined(body)
    if body[end:].replace("data:", "").replace(DONE, "").strip():
        raise ValueError("more than one value")
    return data


def _joined(body: str) -> dict[str, Any]:
    """The chat completion that the events form together."""
    message: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    finish, spoke, events = None, False, _events(body)
    if not events:
        raise ValueError("no events")
    for data in events:
        if data == DONE:
            continue
        fields |= {name: value for name, value in data.items() if name != "choices" and value}
        for choice in data.get("choices") or ():
            spoke = True
            if choice.get("error"):
                fields["error"] = choice["error"]
            finish = choice.get("finish_reason") or finish
            if not choice.get("index"):
                _add(message, choice.get("delta") or choice.get("message") or {})
    if finish is None and DONE not in events and "error" not in fields:
        raise Fault(Cause.DOWN, "the stream ends before the answer does")
    return {**fields, "choices": [{"message": message, "finish_reason": finish}] if spoke else []}


def _events(body: str) -> list[Any]:
    """The events; one may have several lines, and some servers have no empty line between them."""
    found: list[Any] = []
    for event in re.split(r"\n\s*\n", re.sub(r"\r\n?", "\n", body)):
        lines = [line.strip() for line in event.split("\n")]
        parts = [line[5:].strip() for line in lines if line.startswith("data:")]
        parts = [part for part in parts if part]
        try:
            found += [DONE if part == DONE else json.loads(part) for part in parts]
        except ValueError:
            found.append(json.loads("\n".join(parts)))
    return found


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    """Append a part of the answer to the earlier parts."""
    for name, value in delta.items():
        before = message.get(name)
        if isinstance(value, str) and isinstance(before, str):
            message[name] = before + value
        elif isinstance(value, list) and isinstance(before, list):
            message[name] = [*before, *value]
        elif value:
            message[name] = value


def repeating(text: str) -> bool:
    """Whether the end repeats the same text, or one line among others."""
    tail = text[-TAIL:].rstrip("\r\n")
    if len(tail) >= TAIL // 2 and ROUNDS * period(tail) <= len(tail):
        return True
    lines = [line.strip() for line in tail.replace("\\n", "\n").splitlines()]
    found = Counter(line for line in lines if len(line) > 3).most_common(1)
    return bool(found) and found[0][1] >= max(LINES, len(lines) // 2)


def period(text: str) -> int:
    """The least distance at which the end of the text repeats itself as far as it goes back.

    In linear time: the text is read backwards, and of each beginning the longest border is kept.
    """
    back = text[::-1]
    border = [0] * len(back)
    for at in range(1, len(back)):
        length = border[at - 1]
        while length and back[at] != back[length]:
            length = border[length - 1]
        border[at] = length + (back[at] == back[length])
    return len(back) - (border[-1] if back else 0)
