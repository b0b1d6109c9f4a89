"""More misbehaviours of model servers: each vendor's own words for the same few kinds."""

from __future__ import annotations

import json
from typing import Any

from scripted_endpoint import Reply
from server_modes import (
    AGAIN,
    ANSWERED,
    AT_ONCE,
    DRAFT,
    FINAL,
    GOOD,
    TAGGED,
    Mode,
    always,
    body,
    every_second,
    says,
)

__all__ = ["VENDOR_MODES"]

BUSY: dict[str, dict[str, Any]] = {
    "MiniMax": {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
    "Qianfan": {"error_code": 18, "error_msg": "Open api qps request limit reached"},
    "Hugging Face": {"error": "Model m is currently loading", "estimated_time": 20.0},
    "AWS": {"__type": "ThrottlingException", "message": "slow"},
    "AWS, capital": {"Message": "Too many requests"},
    "DeepSeek": {"error": "server busy, please try again later"},
    "Mistral": {"error": {"message": "No capacity at the moment"}},
    "a gateway": {"choices": [], "error_message": "rate limit exceeded"},
    "in the message": {"choices": [{"message": {"content": None, "error": {"code": 429}}}]},
}
"""Within a 200, and the next request is answered."""

SPENT: dict[str, tuple[int, Any]] = {
    "OpenAI": (429, {"error": {"message": "You exceeded", "code": "insufficient_quota"}}),
    "OpenAI in a 200": (200, {"error": {"message": "quota", "code": "insufficient_quota"}}),
    "DeepSeek": (402, {"error": {"message": "Insufficient Balance"}}),
    "Anthropic": (400, {"error": {"message": "Your credit balance is too low"}}),
    "Kimi": (429, {"error": {"message": "suspended", "type": "exceeded_current_quota_error"}}),
}
"""Nothing will be answered until somebody pays."""

NO_MODEL: dict[str, Any] = {
    "LM Studio": {"error": {"message": "Invalid identifier", "code": "model_not_found"}},
    "OpenRouter": {"error": {"message": "m is not a valid model ID", "code": 400}},
    "DeepSeek": {"error": {"message": "Model Not Exist", "type": "invalid_request_error"}},
    "LiteLLM": {"error": {"message": "Invalid model name passed in model=m", "code": "400"}},
    "Mistral": {"object": "error", "message": "Invalid model: m", "type": "invalid_model"},
}
"""With status 400."""

ENDS = {
    "model_length": "cut off",  # Mistral
    "model_context_window_exceeded": "cut off",  # Anthropic
    "max_output_tokens": "cut off",
    "abort": "down",  # SGLang, vLLM
    "insufficient_system_resource": "down",  # DeepSeek
    "network_error": "down",  # Zhipu
    "sensitive": "refused",  # Zhipu
    "PROHIBITED_CONTENT": "refused",  # Gemini
    "eos_token": ANSWERED,  # TGI
    "end_turn": ANSWERED,  # Anthropic
    "COMPLETE": ANSWERED,  # Cohere
}
"""Why an answer ended that looks whole, since lists in tags look whole wherever they end."""

WORDS = {
    "the draft is whole, the answer is not": (f"{DRAFT} So: {GOOD[:-2]}", "unreadable"),
    "the answer has a comma too many": (f"{DRAFT} So: {GOOD[:-1]},}}", "unreadable"),
    "the answer has Python's quotes": (f"{DRAFT} So: {{'query': 'x'}}", "unreadable"),
    "the answer's block has no end": (f"<query>D</query> <query>{FINAL}", "unreadable"),
    "the form itself": ("<query>...</query>", "unreadable"),
    "the form, then the answer": (f"<query>...</query>\n{TAGGED}", ANSWERED),
    "encoded twice": (json.dumps(GOOD), ANSWERED),
    "DeepSeek's old marks": (
        f"<\uff5cbegin\u2581of\u2581thinking\uff5c>{DRAFT}<\uff5cend\u2581of\u2581thinking\uff5c>{GOOD}",
        ANSWERED,
    ),
    "Apertus": (f"<|inner_prefix|>{DRAFT}<|inner_suffix|>{GOOD}", ANSWERED),
    "Step": (f"<|thinking_start|>{DRAFT}<|thinking_end|>{GOOD}", ANSWERED),
    "InternThinker": (f"<thinking_process>{DRAFT}</thinking_process>{GOOD}", ANSWERED),
    "rationale only": (f"<rationale>{DRAFT}</rationale>", "empty"),
}


def stream(*events: str) -> Reply:
    text = "".join(f"data: {event}\n\n" for event in (*events, "[DONE]"))
    return Reply(body=text.encode(), headers={"Content-Type": "text/event-stream"})


def chunk(text: str, lines: str = "") -> str:
    delta = json.dumps({"delta": {"content": text}}, ensure_ascii=False)
    return f'{{"choices": [{lines}{delta}]}}'


LINE = json.dumps({"query": FINAL, "note": "a\u2028b"}, ensure_ascii=False)

VENDOR_MODES: dict[str, Mode] = {
    **{f"busy: {n}": Mode(every_second(body(d)), AGAIN, "", 6) for n, d in BUSY.items()},
    **{f"spent: {n}": Mode(always(body(d, s)), AT_ONCE, "pay", 1) for n, (s, d) in SPENT.items()},
    **{f"name: {n}": Mode(always(body(d, 400)), AT_ONCE, "name", 5) for n, d in NO_MODEL.items()},
    **{f"ends: {end}": Mode(says(TAGGED, end), came, "", 9) for end, came in ENDS.items()},
    **{f"words: {n}": Mode(says(text), came, "", 4) for n, (text, came) in WORDS.items()},
    # str.splitlines splits there too
    "stream: U+2028 in a string": Mode(always(stream(chunk(LINE))), ANSWERED),
    "stream: an event of two lines": Mode(always(stream(chunk(GOOD, "\ndata: "))), ANSWERED),
    "stream: an error and the end": Mode(
        every_second(stream('{"message": "overloaded"}')), AGAIN, "", 6
    ),
    # Ollama's own API: its message is no error
    "Ollama's own form": Mode(
        always(body({"message": {"role": "assistant", "content": GOOD}})), "not a chat answer"
    ),
}
