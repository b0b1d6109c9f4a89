"""Reads a response: the model's text, thinking and calls, or why there is no answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from rods.endpoint.fault import Cause, Fault
from rods.endpoint.refusal import Clean, error_in, fault_of
from rods.endpoint.stream import whole_answer

T = TypeVar("T")

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
THINKING = ("reasoning_content", "reasoning", "thinking")
"""Fields of a message in which servers put the thinking that they have separated."""


class RawCall(NamedTuple):
    """A call as the server sends it. All parts come from the model and may be anything.

    Attributes:
        arguments: a text, which should be a JSON object.
    """

    id: str
    name: str
    arguments: str


class ChatAnswer(NamedTuple):
    """The model's answer.

    Attributes:
        text: without the thinking that the server has separated.
        calls: those that the server has read from what the model wrote.
        reason: why the answer ended, in the server's words and in small letters.
        tokens_in, tokens_out: of the request and its answer; 0 if the server does not say.
        seconds: in which requests for it were under way, failed tries included.
        thinking: that the server has separated.
        logprobs: log-probability of each token; None if there are none.
        others: fields of the message, besides its text, that are not empty.
    """

    text: str
    calls: tuple[RawCall, ...] = ()
    reason: str = "stop"
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    thinking: str = ""
    logprobs: tuple[float, ...] | None = None
    others: tuple[str, ...] = ()

    @property
    def cut(self) -> bool:
        """Whether the model reached a token limit, so that the end is missing."""
        return _among(self.reason, CUT) and self.reason not in ENDED


def read_chat(content: bytes, clean: Clean) -> ChatAnswer:
    """The answer in a chat completion. It may be empty, and it may be cut.

    Args:
        clean: removes the key from a text.

    Raises:
        Fault: it is no completion, contains an error, or the server declines.
    """

    def read(choice: dict[str, Any], reason: str, tokens: tuple[int, int]) -> ChatAnswer:
        message = choice["message"]
        text, refusal = clean(_text(message.get("content"))), message.get("refusal")
        if refusal and not text:
            raise Fault(Cause.REFUSED, str(refusal), tokens=tokens)
        calls = tuple(RawCall(*map(clean, call)) for call in _calls(message))
        thinking, others = clean(_thinking(message)), tuple(map(clean, _others(message)))
        return ChatAnswer(text, calls, reason, *tokens, 0.0, thinking, _logprobs(choice), others)

    return read_choice(content, clean, read)


def read_choice(
    content: bytes, clean: Clean, read: Callable[[dict[str, Any], str, tuple[int, int]], T]
) -> T:
    """What `read` finds in the first choice of a completion.

    Args:
        read: is given the choice, why it ended, and the tokens in and out. It raises ValueError,
            LookupError, TypeError or AttributeError for a choice of another form.

    Raises:
        Fault: it is no completion, contains an error, or the server declines or broke off.
    """
    body = clean(content.decode("utf-8-sig", "replace"))
    if not body.strip():
        raise Fault(Cause.EMPTY, "the response has no bytes")
    try:
        data = whole_answer(body)
        if error := error_in(data):
            raise fault_of(error, clean)
        choice, tokens = data["choices"][0], _tokens(data.get("usage"))
        return read(choice, _reason(choice, tokens), tokens)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Fault(Cause.NOT_CHAT, body) from None


def _reason(choice: dict[str, Any], tokens: tuple[int, int]) -> str:
    """Why an answer ended.

    Raises:
        Fault: the server declines, or broke off.
    """
    reason = str(choice.get("finish_reason") or "").lower()
    message = choice.get("message") or {}
    if _among(reason, DECLINED):
        refusal = message.get("refusal")
        raise Fault(Cause.REFUSED, refusal if isinstance(refusal, str) else reason, tokens=tokens)
    if _among(reason, BROKEN):
        text = _text(message.get("content"))
        raise Fault(Cause.DOWN, f"the server broke off: {text[-100:]}", tokens=tokens)
    return reason


def _among(reason: str, words: tuple[str, ...]) -> bool:
    return any(word in reason for word in words)


def _parts(content: Any) -> list[Any]:
    """The parts of a content that is a list or one object."""
    return [part for part in (content if isinstance(content, list) else [content]) if part]


def _text(content: Any) -> str:
    """The text of a content without parts of another type, such as thinking."""
    texts = [
        part.get("text") if isinstance(part, dict) and _is_text(part) else part
        for part in _parts(content)
    ]
    return "".join(text for text in texts if isinstance(text, str))


def _is_text(part: dict[str, Any]) -> bool:
    return part.get("type", "text") in ("text", "output_text") and not part.get("thought")


def _thinking(message: dict[str, Any]) -> str:
    """The thinking that the server has separated; servers have several fields for it."""
    for name in THINKING:
        if isinstance(message.get(name), str) and message[name]:
            return str(message[name])
    parts = [part for part in _parts(message.get("content")) if isinstance(part, dict)]
    inside = [part.get("thinking") or part.get("text") for part in parts if not _is_text(part)]
    return "".join(each if isinstance(each, str) else _text(each) for each in inside)


def _calls(message: dict[str, Any]) -> list[RawCall]:
    """The calls of a message. One of another form is a call without a name."""
    found = []
    for call in _parts(message.get("tool_calls")):
        inside = call.get("function") if isinstance(call, dict) else None
        if isinstance(inside, dict):
            parts = (call.get("id"), inside.get("name"), inside.get("arguments"))
        else:
            parts = ("", "", call)
        found.append(RawCall(*map(_written, parts)))
    return found


def _written(value: Any) -> str:
    """A value as text; some servers send the arguments as an object."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _logprobs(choice: dict[str, Any]) -> tuple[float, ...] | None:
    found = choice.get("logprobs")
    content = found.get("content") if isinstance(found, dict) else None
    return tuple(float(token["logprob"]) for token in content) if content else None


def _others(message: dict[str, Any]) -> list[str]:
    """Fields of a message that are not empty, besides its text."""
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
