"""What a response says: the model's words, or why there are none."""

from __future__ import annotations

from typing import Any, NamedTuple

from rods.synthesis.llm.fault import Cause, Fault
from rods.synthesis.llm.refusal import Clean, error_in, fault_of
from rods.synthesis.llm.repetition import repeating
from rods.synthesis.llm.stream import whole_answer

CUT = ("length", "token", "context_window")  # in why an answer ended, in small letters
BROKEN = ("error", "abort", "cancel", "insufficient", "timeout", "time_limit", "load")
DECLINED = (
    *("filter", "safety", "refusal", "sensitive", "prohibited", "recitation", "blocklist"),
    *("spii", "guardrail", "toxic"),
)
ENDED = ("eos_token", "end_token", "stop_token")  # tokens that end an answer as a stop does
HOLDING = (str, list, dict)


class Words(NamedTuple):
    """What the model said, and what it took."""

    text: str
    tokens_in: int
    tokens_out: int


def words_of(content: bytes, clean: Clean) -> Words:
    """The words of a chat completion.

    Args:
        clean: takes the key out of a text.

    Raises:
        Fault: it is none, or it is cut off, empty, or a refusal, or tells an error.
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
    return Words(text, *tokens)


def _among(finish: str, words: tuple[str, ...]) -> bool:
    return any(word in finish for word in words)


def _text(said: Any) -> str:
    """The words of a content; parts of another type, such as thinking, are not among them."""
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
    """Fields of a message that hold something although its content has no words."""
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
